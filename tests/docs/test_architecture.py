"""docs/explanation/architecture.md lists the modules that a request passes; house.md lists the wings and the moves."""

import importlib.metadata
import json
import re
import sys
import threading
from pathlib import Path

import pytest

import realtts
from realtts import RealProvider
from realtts.isolation.environments import FILE, IsolatedEnvironment
from realtts.testing import fake_spec
from realtts.wire.specs import spec_to_json

PACKAGE = Path(realtts.__file__).parent
EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation"
PAGE = (EXPLANATION / "architecture.md").read_text(encoding="utf-8")
HOUSE = (EXPLANATION / "house.md").read_text(encoding="utf-8")
ASIDE = {"__init__", "__post_init__", "report", "reset"}
"""Functions that put things in place, send events or start counters: a request does not pass a module by them."""


def section(text, heading):
    """The text under a heading, up to the next heading."""
    return re.split(r"^#+ ", text.split(f"# {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def modules(text):
    """The modules of a numbered list, in order."""
    return re.findall(r"^\d+\. `([\w.]+)`", text, re.MULTILINE)


def path_of(module):
    """The file of a module of the core, or the folder's ``__init__``; None: there is no such module."""
    path = PACKAGE.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@pytest.fixture
def entered():
    """Run something and return the core's modules in the order in which their functions were first called."""

    def entered(work):
        order = {}

        def note(frame, event, _):
            code = frame.f_code
            if event == "call" and code.co_name not in ASIDE and code.co_filename.startswith(str(PACKAGE)):
                order.setdefault(Path(code.co_filename))

        threading.setprofile(note)
        sys.setprofile(note)
        try:
            work()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        return list(order)

    return entered


def check(listed, order):
    """The modules of a list were passed, in its order, and are named once."""
    paths = [path_of(module) for module in listed]
    assert len(set(listed)) == len(listed)
    assert [path for path in order if path in paths] == paths


@pytest.mark.parametrize(
    ("heading", "speak"),
    [
        ("One text: generate", lambda tts: tts.generate("one two")),
        ("A stream", lambda tts: list(tts.stream("one two"))),
        ("A batch: generate_batch", lambda tts: tts.generate_batch(["one", "two"])),
    ],
    ids=["generate", "stream", "batch"],
)
def test_way_is_the_one_of_a_request(heading, speak, entered):
    """A first request passes the modules of the page, in its order."""
    with RealProvider(fake_spec()) as tts:  # its thread starts with the first request
        check(modules(section(PAGE, heading)), entered(lambda: speak(tts)))


def test_way_is_the_one_of_an_isolated_call(tmp_path, entered):
    """The same in a program whose provider runs in a worker; the worker's own modules exist."""
    home = tmp_path / "environments" / "fake"
    home.mkdir(parents=True)
    spec, version = spec_to_json(fake_spec()), importlib.metadata.version("realtts")
    environment = IsolatedEnvironment(name="fake", python=Path(sys.executable), spec=spec, core_version=version)
    (home / FILE).write_text(json.dumps(environment.as_dict(home)), encoding="utf-8")
    program, worker = section(PAGE, "An isolated call").split("In the worker")
    with RealProvider("fake", data_dir=tmp_path, isolation="always") as tts:
        check(modules(program), entered(lambda: tts.generate("one two")))
    assert all(path_of(module) for module in modules(worker))


def test_every_wing_is_described():
    """Modules and packages at the top of the core, each by its name, and the packages of the toolkit."""
    tops = {
        path.stem + ("/" if path.is_dir() else "")
        for path in PACKAGE.iterdir()
        if not path.name.startswith("__") and (path.suffix == ".py" or (path / "__init__.py").is_file())
    }
    assert sorted(name for name in tops if f"`{name}`" not in section(HOUSE, "The wings")) == []
    inside = section(HOUSE, "Inside accel")
    assert (
        sorted(
            path.parent.name for path in PACKAGE.glob("accel/*/__init__.py") if f"`{path.parent.name}/`" not in inside
        )
        == []
    )
    assert sorted(path.stem for path in PACKAGE.glob("accel/[a-z]*.py") if f"`{path.stem}`" not in inside) == []


def test_moved_modules_are_where_the_table_says():
    """Each new path is a module of the core, or a name that one defines, or a file of the repository."""
    rows = re.findall(r"^\| `([\w.]+)`.*? \| `([\w./]+)`", section(HOUSE, "Moved modules"), re.MULTILINE)
    assert len(rows) > 30
    for old, new in rows:
        assert old != new
        if new.startswith("realtts."):
            module = new.removeprefix("realtts.")
            assert path_of(module) or path_of(module.rpartition(".")[0]), new
        else:
            assert (Path(__file__).parents[2] / new).is_file() or new == "realtts_toylm", new
