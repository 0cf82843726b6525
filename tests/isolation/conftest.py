"""An environment of its own for the tests: a virtual one that sees this one's packages and has a plugin of its own."""

import base64
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import re
import shutil
import sys
import venv
import zipfile
from pathlib import Path

import psutil
import pytest
import waiting

import realtts
from realtts import RealProvider
from realtts.isolation.environments import FILE, IsolatedEnvironment
from realtts.testing import fake_spec
from realtts.wire.specs import spec_to_json

HERE = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def _processes_are_not_measured():
    """Let lines be counted in workers."""


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """The interpreter of an environment that has the plugin ``rogue``, which this process has not."""
    home = tmp_path_factory.mktemp("venv")
    venv.EnvBuilder(symlinks=sys.platform != "win32").create(home)
    packages = next(path for path in home.rglob("site-packages") if path.is_dir())
    lines = [f"import site; site.addsitedir({path!r})" for path in sys.path if path.endswith("site-packages")]
    lines.append(
        f"import sys; sys.path.insert(0, {str(Path(realtts.__file__).parents[1])!r})"
    )  # the core that is tested
    (packages / "parent.pth").write_text("\n".join(lines), encoding="utf-8")
    shutil.copy(HERE / "rogue.py", packages)
    shutil.copy(HERE.parent / "support" / "staged_provider.py", packages)
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
        (home / FILE).write_text(json.dumps(environment.as_dict(home)), encoding="utf-8")
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
def here(tmp_path):
    """The fake provider in this process."""
    with RealProvider(fake_spec(), data_dir=tmp_path) as provider:
        yield provider


@pytest.fixture
def until():
    """Wait until something holds: ``until(condition)``."""
    return waiting.until


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    """Start a worker at once after deaths in a row; the pauses have a test of their own."""
    monkeypatch.setattr("realtts.isolation.supervisor.BACK_OFF_S", (0.0,))


@pytest.fixture(autouse=True)
def loud(caplog):
    """What a worker logs at INFO and above arrives."""
    caplog.set_level(logging.INFO)


TONE = """
import numpy as np
from realtts import Chunk, Environment, ProviderSpec, hookimpl

class Tone:
    @hookimpl
    def load(self, context): return object()
    @hookimpl
    def generate(self, context, model, request):
        for _ in request.text.split():
            yield Chunk(np.full(2400, LEVEL, np.float32), 24000)

spec = ProviderSpec(name="tone", summary="A tone per word", sample_rates=(24000,), plain="PACKAGE:Tone", MORE)
"""


def write_wheel(folder, name, version, files, metadata=""):
    """A wheel without a build: names and contents of its files, and lines for its metadata."""
    about = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        named = name.replace("_", "-")
        everything = {
            **files,
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {named}\nVersion: {version}\n{metadata}",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        for inside, content in everything.items():
            wheel.writestr(inside, content)
        record = [f"{inside},{digest(content)},{len(content)}\n" for inside, content in everything.items()]
        wheel.writestr(f"{about}/RECORD", "".join(record) + f"{about}/RECORD,,\n")
    return path


def digest(content):
    """A content's hash as wheels have it."""
    return f"sha256={base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b'=').decode()}"


@pytest.fixture(scope="session")
def make_wheel():
    """Wheels of anything: ``make_wheel(folder, name, version, files)``."""
    return write_wheel


@pytest.fixture(scope="session")
def plugin_wheel():
    """Wheels of a stranger's plugin: ``plugin_wheel(folder, version)``."""

    def plugin_wheel(folder, version="1.0", *, level=0.1, more="", metadata="", name="realtts_tone", code=TONE):
        code = code.replace("PACKAGE", name).replace("LEVEL", repr(level)).replace("MORE", more)
        files = {
            f"{name}.py": code,
            f"{name}-{version}.dist-info/entry_points.txt": f"[realtts.providers]\ntone = {name}:spec\n",
        }
        return write_wheel(folder, name, version, files, f"Requires-Dist: realtts\nRequires-Dist: numpy\n{metadata}")

    return plugin_wheel


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory):
    """The wheels of everything that the core requires, packed again from what is installed here: no index is needed."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in required("realtts", set()):
        pack(importlib.metadata.distribution(name), folder)
    return folder


def required(name, seen):
    """Names of all distributions that one requires, directly or not."""
    from packaging.requirements import Requirement

    for line in importlib.metadata.distribution(name).requires or ():
        wanted = Requirement(line)
        key = wanted.name.lower().replace("_", "-")
        if key in seen or (wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})):
            continue
        seen.add(key)
        required(key, seen)
    return seen


def pack(distribution, folder):
    """Make a wheel of an installed distribution."""
    about = next(file.parent for file in distribution.files if file.name == "WHEEL")
    tags = re.findall(r"^Tag: (\S+)", distribution.read_text("WHEEL"), re.MULTILINE)
    tag = "-".join(".".join(dict.fromkeys(part)) for part in zip(*(tag.split("-") for tag in tags), strict=True))
    made = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json")
    with zipfile.ZipFile(folder / f"{str(about).removesuffix('.dist-info')}-{tag}.whl", "w") as wheel:
        names = []
        for file in distribution.files:
            keep = ".." not in file.parts and file.suffix != ".pyc" and not (file.parent == about and file.name in made)
            if keep and file.locate().is_file():
                names.append(file.as_posix())
                wheel.write(file.locate(), file.as_posix())
                names += compiled(file, wheel)
        record = f"{about.as_posix()}/RECORD"
        wheel.writestr(record, "".join(f"{name},,\n" for name in (*names, record)))


def compiled(file, wheel):
    """Add a module's compiled file to a wheel, if it has one: else every new environment compiles what it imports.

    Its header says that it goes with its source (PEP 552), whatever time that was written.
    """
    cache = Path(importlib.util.cache_from_source(str(file.locate()))) if file.suffix == ".py" else None
    if cache is None or not cache.is_file():
        return []
    content = cache.read_bytes()
    name = (file.parent / "__pycache__" / cache.name).as_posix()
    wheel.writestr(name, content[:4] + (1).to_bytes(4, "little") + bytes(8) + content[16:])
    return [name]


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory):
    """A cache of uv that the tests share."""
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture
def offline(monkeypatch, wheelhouse, uv_cache):
    """No index: the wheels lie at hand, and pip's own variables say where."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "REALTTS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(uv_cache))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
