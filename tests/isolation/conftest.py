"""An environment of its own for the tests: a virtual one that sees this one's packages and has a plugin of its own."""

import importlib.metadata
import importlib.util
import json
import logging
import shutil
import sys
import time
import venv
from pathlib import Path

import psutil
import pytest

from realtts import RealProvider
from realtts.isolation.environments import FILE, IsolatedEnvironment
from realtts.isolation.specs import spec_to_json
from realtts.testing import fake_spec

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """The interpreter of an environment that has the plugin ``rogue``, which this process has not."""
    home = tmp_path_factory.mktemp("venv")
    venv.EnvBuilder(symlinks=sys.platform != "win32").create(home)
    packages = next(path for path in home.rglob("site-packages") if path.is_dir())
    lines = [f"import site; site.addsitedir({path!r})" for path in sys.path if path.endswith("site-packages")]
    (packages / "parent.pth").write_text("\n".join(lines), encoding="utf-8")
    shutil.copy(HERE / "rogue.py", packages)
    return home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@pytest.fixture(scope="session")
def rogue_spec():
    """The plugin's spec as the installer would write it."""
    found = importlib.util.spec_from_file_location("rogue", HERE / "rogue.py")
    module = importlib.util.module_from_spec(found)
    sys.modules["rogue"] = module
    found.loader.exec_module(module)
    try:
        return spec_to_json(module.spec)
    finally:
        del sys.modules["rogue"]


@pytest.fixture(scope="module")
def install(tmp_path_factory, python, rogue_spec):
    """Write environments into a new data folder, which is returned."""

    def install(spec=None, *, core=None, interpreter=None, name=None):
        spec = rogue_spec if spec is None else spec_to_json(spec)
        data = tmp_path_factory.mktemp("data")
        home = data / "environments" / (name or spec["name"])
        home.mkdir(parents=True)
        environment = IsolatedEnvironment(
            name=name or spec["name"],
            python=interpreter or python,
            spec={**spec, "name": name or spec["name"]},
            core_version=core or importlib.metadata.version("realtts"),
        )
        (home / FILE).write_text(json.dumps(environment.as_json(home)), encoding="utf-8")
        return data

    return install


@pytest.fixture
def rogue(install):
    """Providers that run the badly behaved plugin; closed at the end, and then no process may be left."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    made = []

    def rogue(**settings):
        made.append(RealProvider("rogue", data_dir=install(), **settings))
        return made[-1]

    yield rogue
    for provider in made:
        provider.close()
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


@pytest.fixture(scope="module")
def fake(install):
    """The fake provider in a worker that the tests of a file share: starting one takes a second."""
    with RealProvider("fake", data_dir=install(fake_spec())) as provider:
        yield provider


@pytest.fixture
def fresh(install):
    """The fake provider in a worker of its own."""
    with RealProvider("fake", data_dir=install(fake_spec())) as provider:
        yield provider


@pytest.fixture
def here():
    """The fake provider in this process."""
    with RealProvider(fake_spec()) as provider:
        yield provider


@pytest.fixture
def until():
    """Wait until something holds: ``until(condition)``."""

    def until(condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it never came"
            time.sleep(0.01)

    return until


@pytest.fixture(autouse=True)
def loud(caplog):
    """What a worker logs at INFO and above arrives."""
    caplog.set_level(logging.INFO)
