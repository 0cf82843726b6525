"""What a spec, a user or a lock says reaches uv as a requirement of PEP 508, or not at all."""

import pytest

from realtts import Environment, Settings
from realtts.cli.app import run
from realtts.errors import InstallFailed
from realtts.isolation import environments
from realtts.isolation.install import InstallRequest, install
from realtts.isolation.install.requirements import (
    Pin,
    checked_environment,
    checked_name,
    checked_requirement,
    read_lock,
)

HASH = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("numpy", "numpy"),
        ("numpy>=1,<3", "numpy<3,>=1"),
        ("transformers[torch]>=5.15 ; python_version >= '3.10'", 'transformers[torch]>=5.15; python_version >= "3.10"'),
        ("x @ https://host/x-1-py3-none-any.whl#sha256=ab", "x @ https://host/x-1-py3-none-any.whl#sha256=ab"),
        ("x @ git+ssh://git@host/x", "x @ git+ssh://git@host/x"),
        ("x\t>=1", "x>=1"),
    ],
)
def test_requirements_are_written_anew(given, written):
    """Extras, markers and addresses stay."""
    assert checked_requirement(given) == written


REFUSED = [
    "--index-url https://evil/simple", "--index-url=https://evil/simple", "-r secrets.txt", "-e .", "-c x.txt",
    "numpy\n--index-url https://evil", "numpy\r-r x", "numpy\u2028-e .", "numpy --hash=sha256:00", "numpy ; -r x",
    "numpy ; import os", "numpy # all", "x @ https://user:secret@host/x.whl", "x @ https://token@host/x.whl",
    "x @ https://host/${HF_TOKEN}/x.whl", "x @ ./x", "x @ --help", "x @ ext::sh", "./x", "", " ",
    "numpy>=1 --pre", None, 3, ["numpy"],
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED, ids=repr)
def test_nothing_else_passes(text):
    """Options, files, lines, secrets and variables are no requirements."""
    with pytest.raises(ValueError, match=r".{5}"):
        checked_requirement(text)


@pytest.mark.parametrize("text", ["numpy>=1", "--help", "-x", "a b", "a\nb", "", "../x", "numpy[extra]", "x;", 7])
def test_an_exclusion_is_a_name(text):
    """And nothing behind it."""
    with pytest.raises(ValueError, match="it "):
        checked_name(text)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"requirements": ("numpy", "--pre")}, "requirement '--pre'"),
        ({"overrides": ("torch>=2\n-r x",)}, r"override 'torch>=2\\n-r x'"),
        ({"exclude": ("gradio", "x ; y")}, "exclusion 'x ; y'"),
        ({"python": "--help"}, "Python '--help'"),
        ({"python": "3.11; rm"}, "Python '3.11; rm'"),
        ({"requirements": "numpy"}, "requirement 'numpy'"),
    ],
)
def test_a_spec_is_refused_by_name(wrong, said):
    """The error names the provider, the string and its kind."""
    with pytest.raises(InstallFailed, match=f"provider 'tone': .* has the {said}, which is refused") as caught:
        checked_environment(Environment(**wrong), "tone")
    assert caught.value.phase == "stage"


@pytest.mark.parametrize(
    "line",
    ["--index-url https://evil", "-r more.txt", "-e .", "numpy", "numpy>=1", "numpy==1 --hash=md5:00", "numpy==1 --pre",
     "numpy==1 --hash=sha256:00"],
)  # fmt: skip
def test_a_lock_has_pins_only(line):
    """An option in a lock is refused, not left out."""
    with pytest.raises(ValueError, match="is refused"):
        read_lock(f"first==1\n{line}\n")


def test_a_lock_is_read_as_it_is_written():
    """Comments go; hashes stay; an address may have a fragment."""
    pins = [Pin("a==1", (HASH, f"sha256:{'b' * 64}")), Pin("b @ https://host/b.zip#egg=b"), Pin("c==2+cpu", (HASH,))]
    text = "# by hand\n" + "".join(f"{pin.line()}  # why\n\n" for pin in pins)
    assert read_lock(text) == pins
    assert [pin.name for pin in pins] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"source": "--help"}, "--from"),
        ({"source": "-x"}, "--from"),
        ({"source": "realtts-tone\n--index-url https://evil"}, "--from"),
        ({"source": "https://user:secret@host/x.whl"}, "--from"),
        ({"source": "realtts-tone --pre"}, "--from"),
        ({"source": ""}, "--from"),
        ({"python": "--x"}, "--python"),
        ({"python": " "}, "--python"),
        ({"torch": "--x"}, "--torch"),
        ({"torch": "rocm"}, "--torch"),
        ({"extras": ("more] @ https://evil",)}, "--extra"),
        ({"extras": ("--x",)}, "--extra"),
        ({"links": ("--x",)}, "--find-links"),
    ],
    ids=repr,
)
def test_no_value_is_an_option(changes, option, tmp_path):
    """Each is refused before anything is made on disk."""
    settings = Settings(data_dir=tmp_path / "data")
    with pytest.raises(InstallFailed, match=f"{option} is .* which is refused: .*Fix: give"):
        install(InstallRequest("tone", **changes), settings=settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--from=--help", "--from=-x", "--python=--x", "--extra=--x", "--find-links=-x"])
def test_on_the_command_line(option, tmp_path, monkeypatch, capsys):
    """One line, exit code 2; argparse itself refuses ``--torch=--x``."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    assert run(["install", "tone", option]) == 2
    assert "which is refused" in capsys.readouterr().err
    assert run(["install", "tone", "--torch=--x"]) == 2
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("offline")
def test_a_spec_that_tries_leaves_nothing(tmp_path, plugin_wheel):
    """A stranger's spec with an option among its overrides."""
    settings = Settings(data_dir=tmp_path / "data")
    more = "environment=Environment(overrides=('numpy>=1', '--index-url https://evil/simple'))"
    with pytest.raises(InstallFailed, match="override '--index-url https://evil/simple'"):
        install(InstallRequest("tone", source=str(plugin_wheel(tmp_path, more=more))), settings=settings)
    assert environments.find("tone", settings) is None
    assert [path.name for path in environments.folder(settings).iterdir()] == [".tone.lock"]
