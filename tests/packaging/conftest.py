"""Wheels built from the sources, and fresh environments to put them into."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command, cwd=None, check=True, timeout=600, **environment):
    """Run a command; its output belongs to the failure."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "REALTTS_"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(name="run")
def run_fixture():
    """`run`, for tests."""
    return run


class Environment:
    """A fresh virtual environment."""

    def __init__(self, folder):
        self.bin = folder / ("Scripts" if sys.platform == "win32" else "bin")
        self.python = self.bin / "python"
        run("uv", "venv", "-q", "-p", sys.executable, folder)

    def install(self, *what):
        """Install wheels, folders or names."""
        run("uv", "pip", "install", "-q", "-p", self.python, *what)

    def uninstall(self, *names):
        """Remove distributions."""
        run("uv", "pip", "uninstall", "-q", "-p", self.python, *names)

    def realtts(self, *arguments, **more):
        """Run the command line."""
        return run(self.bin / "realtts", *arguments, **more)

    def run_python(self, code, **more):
        """Run code, isolated from this process's folders."""
        return run(self.python, "-I", "-c", code, **more).stdout.strip()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """The wheel of each distribution, by its name."""
    out = tmp_path_factory.mktemp("wheels")
    for source in ("core", "plugins/espeak", "plugins/hibari"):
        run("uv", "build", "-q", "--wheel", "--out-dir", out, ROOT / source)
    return {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in out.glob("*.whl")}


@pytest.fixture
def environment(tmp_path):
    """A fresh environment."""
    return Environment(tmp_path / "env")


@pytest.fixture(scope="session")
def speaking(tmp_path_factory, wheels):
    """An environment with the core and the embedded voice; tests leave it as it is."""
    made = Environment(tmp_path_factory.mktemp("speaking") / "env")
    made.install(wheels["realtts"], wheels["realtts-espeak"])
    return made


@pytest.fixture
def third_party(tmp_path):
    """Writes distributions as strangers would."""

    def third_party(dist, name, code):
        folder = tmp_path / dist
        module = dist.replace("-", "_")
        folder.mkdir()
        (folder / "pyproject.toml").write_text(
            f"""[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{dist}"
version = "1.0"
dependencies = ["realtts"]
[project.entry-points."realtts.providers"]
{name} = "{module}:spec"
[tool.hatch.build.targets.wheel]
include = ["{module}.py"]
""",
            encoding="utf-8",
        )
        (folder / f"{module}.py").write_text(code.replace("MODULE", module), encoding="utf-8")
        return folder

    return third_party
