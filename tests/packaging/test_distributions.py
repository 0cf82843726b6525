"""What the wheels hold, and that everything carries one version."""

import re
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECTS = {
    path.parent.name: path
    for path in (
        ROOT / "core/pyproject.toml",
        *ROOT.glob("plugins/*/pyproject.toml"),
        *ROOT.glob("servers/*/pyproject.toml"),
    )
}


@pytest.mark.parametrize("name", PROJECTS, ids=str)
def test_one_version_everywhere(name):
    """Every distribution has the core's version, a plugin requires the core's minor one, the changelog knows it."""
    project = tomllib.loads(PROJECTS[name].read_text(encoding="utf-8"))["project"]
    init = (ROOT / "core/src/realtts/__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"', init, re.MULTILINE).group(1)
    assert project["version"] == version
    major, minor, _ = map(int, version.split("."))
    if name != "core":
        core = rf"realtts(\[[a-z,]+\])?>={major}\.{minor},<{major}\.{minor + 1}"
        assert any(re.fullmatch(core, dependency) for dependency in project["dependencies"])
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_wheels_are_complete(wheels):
    """Types, licence and templates travel; tests do not."""
    core = zipfile.ZipFile(wheels["realtts"]).namelist()
    assert "realtts/py.typed" in core
    assert any(name.endswith("licenses/LICENSE") for name in core)
    templates = {name for name in core if name.startswith("realtts/cli/template/")}
    assert any("pyproject" in name for name in templates)
    assert any("test_conformance" in name for name in templates)
    for plugin in ("espeak", "hibari"):
        voice = zipfile.ZipFile(wheels[f"realtts-{plugin}"]).namelist()
        assert f"realtts_{plugin}/py.typed" in voice
        assert any(name.endswith("licenses/LICENSE") for name in voice)
        assert not any("conftest" in name or name.startswith("tests/") for name in (*core, *voice))


def test_hibari_needs_neither_torch_nor_espeak():
    """The natural voice is free of the GPL."""
    project = tomllib.loads(PROJECTS["hibari"].read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert not any(name in " ".join(project["dependencies"]) for name in ("torch", "espeak"))


def test_core_needs_neither_torch_nor_a_plugin(environment, wheels):
    """It installs alone, says what to do next, and lists nothing."""
    environment.install(wheels["realtts"])
    installed = environment.run_python("import importlib.metadata as m; print([d.name for d in m.distributions()])")
    assert "torch" not in installed
    assert "transformers" not in installed
    said = environment.realtts("say", "Hello", "-o", "hello.wav", check=False)
    assert said.returncode == 2
    assert "realtts-espeak" in said.stderr
    assert "Traceback" not in said.stderr
