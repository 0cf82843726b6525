"""The parts of an install, each alone: variables, Python ranges, the core's wheel, places, conflicts."""

import subprocess
import sys
import zipfile

import pytest

import realtts
from realtts import Environment
from realtts.cli.conflicts import conflicts
from realtts.cli.places import HERE, ISOLATED, NOWHERE, place_of
from realtts.isolation.install.building import allows, python_wanted
from realtts.isolation.install.packing import pack_core
from realtts.isolation.install.variables import find_links, variables
from realtts.testing import fake_spec


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"PIP_INDEX_URL": "http://a"}, {"UV_DEFAULT_INDEX": "http://a"}),
        ({"PIP_INDEX_URL": "http://a", "UV_INDEX_URL": "http://b"}, {"UV_DEFAULT_INDEX": None}),
        ({"PIP_INDEX_URL": "http://a", "UV_DEFAULT_INDEX": "http://b"}, {"UV_DEFAULT_INDEX": "http://b"}),
        (
            {"PIP_EXTRA_INDEX_URL": "http://a http://b"},
            {"UV_INDEX": "http://a http://b", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ({"PIP_NO_INDEX": "1"}, {"UV_NO_INDEX": "1"}),
        ({"PIP_NO_INDEX": "0"}, {"UV_NO_INDEX": None}),
        ({"PIP_CERT": "/c"}, {"SSL_CERT_FILE": "/c"}),
        ({"PIP_CONSTRAINT": "/a /b", "UV_CONSTRAINT": "/c"}, {"UV_CONSTRAINT": "/c /a /b"}),
        ({"VIRTUAL_ENV": "/v", "UV_PYTHON": "3.9", "UV_FIND_LINKS": "/f"}, dict.fromkeys(["VIRTUAL_ENV", "UV_PYTHON"])),
        ({"HOME": "/h"}, {"HOME": "/h", "UV_INDEX_STRATEGY": None}),
    ],
    ids=str,
)
def test_variables_of_pip_count(given, wanted):
    """In uv's words; its own win."""
    made = variables(given)
    assert {name: made.get(name) for name in wanted} == wanted


def test_folders_of_both():
    """Folders as whole paths, since uv runs elsewhere; addresses as they are; each once."""
    found = find_links({"UV_FIND_LINKS": "/a,https://b/c", "PIP_FIND_LINKS": "/a  here"})
    assert found[:2] == ("/a", "https://b/c")
    assert found[2].endswith("/here")
    assert len(found) == 3
    assert find_links({}) == ()


@pytest.mark.parametrize(
    ("specifier", "version", "holds"),
    [
        (">=3.10,<3.14", (3, 11, 7), True),
        (">=3.10,<3.11", (3, 11, 0), False),
        (">=3.12", (3, 11, 7), False),
        ("==3.11.*", (3, 11, 7), True),
        ("==3.11", (3, 11, 7), False),
        ("!=3.11.*", (3, 11, 7), False),
        ("~=3.10", (3, 13, 0), True),
        ("~=3.10.2", (3, 11, 0), False),
        (">3.11", (3, 11, 7), False),
        ("<=3.11", (3, 11, 0), True),
        ("three", (3, 11, 7), False),
    ],
)
def test_python_ranges(specifier, version, holds):
    """As in packages' metadata."""
    assert allows(specifier, version) is holds


def test_python_that_is_asked_for():
    """What is named; else this one where it fits; else the range, for uv to find one."""
    assert python_wanted("3.12", ">=3.10") == "3.12"
    assert python_wanted(None, ">=3.10") == python_wanted(None, "") == sys.executable
    assert python_wanted(None, ">=3.99") == ">=3.99"


def test_core_is_packed(tmp_path):
    """The wheel runs alone, has every module, and is the same each time."""
    wheel = pack_core(tmp_path)
    names = zipfile.ZipFile(wheel).namelist()
    assert "realtts/worker/main.py" in names
    assert "realtts/py.typed" in names
    assert not any("__pycache__" in name for name in names)
    first = wheel.read_bytes()
    assert pack_core(tmp_path).read_bytes() == first
    code = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import realtts; print(realtts.__file__, realtts.__version__)"
    )
    told = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert told[0].startswith(str(wheel))
    assert told[1] == realtts.__version__


@pytest.mark.parametrize(
    ("installed", "broken", "isolated", "setting", "where", "why"),
    [
        (True, False, False, "auto", HERE, "is installed here"),
        (True, False, True, "auto", HERE, "its environment is not used"),
        (True, False, True, "always", ISOLATED, "'always'"),
        (True, False, False, "always", NOWHERE, "has no environment"),
        (True, True, True, "auto", ISOLATED, "is broken here"),
        (True, True, True, "never", NOWHERE, "isolation is 'never'"),
        (True, True, False, "auto", NOWHERE, "is broken here"),
        (False, False, True, "auto", ISOLATED, "is not installed here"),
        (False, False, True, "never", NOWHERE, "isolation is 'never'"),
    ],
)
def test_places(installed, broken, isolated, setting, where, why):  # noqa: PLR0917 - a table
    """Where a provider runs, and the reason."""
    place = place_of(installed=installed, broken=broken, isolated=isolated, setting=setting)
    assert place.where == where
    assert why in place.why


def test_conflicts(tmp_path, monkeypatch):
    """What a plugin's packages want and have not, but for what its spec overrides."""
    for name, requires in {
        "some-plugin": ["some-upstream[fast]>=1", "numpy>=1"],
        "some-upstream": ["numpy<1", "missing-thing; extra == 'fast'", "other-thing; extra == 'slow'", "pinned==1"],
    }.items():
        about = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        about.mkdir()
        lines = "".join(f"Requires-Dist: {line}\n" for line in requires)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{lines}", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    spec = fake_spec(environment=Environment(exclude=("pinned",)))
    found = conflicts("some-plugin", spec)
    assert len(found) == 2
    assert found[0].startswith("some-upstream wants numpy<1, here is ")
    assert found[1] == "some-upstream wants missing-thing, which is not installed"
    overridden = fake_spec(environment=Environment(overrides=("numpy>=1", "missing_thing"), exclude=("pinned",)))
    assert conflicts("some-plugin", overridden) == []
