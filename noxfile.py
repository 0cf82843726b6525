"""One session per environment: ``nox`` runs them all, ``nox -s core-3.11`` one of them.

Pythons that are not installed are skipped locally; with CI=true at least the one that runs nox must pass.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
DEFAULT = "3.11"
CORE = ["-e", "./core[testing,hub]"]
ESPEAK = ["-e", "./plugins/espeak"]
TEST_TOOLS = ["pytest>=8", "hypothesis>=6.100", "coverage>=7"]

# Two processes that each start a thread per core are slower than one: the machines that run this are small.
ENVIRONMENT = {"OMP_NUM_THREADS": "2"}


@nox.session(python=DEFAULT)
def lint(session: nox.Session) -> None:
    """Style, formatting and types."""
    session.install(*_local_torch(), "-e", "./core[torch]")  # mypy knows torch's types where it can be had
    session.install("ruff>=0.9", "mypy>=1.15", *CORE, *ESPEAK, "pytest>=8", "nox")
    session.install("--no-deps", "-e", "./plugins/chatterbox")  # upstream's package is imported by name, untyped
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", "core/src", "plugins/espeak/src", "plugins/chatterbox/src", "tests/typing")


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """The core alone, as an application without any plugin has it."""
    session.install("-e", "./core[testing,hub,plot]", *TEST_TOOLS)
    _measured(session, "tests/core", "tests/conformance")


@nox.session(python=PYTHONS)
def espeak(session: nox.Session) -> None:
    """The embedded voice, through the core."""
    session.install(*CORE, *ESPEAK, *TEST_TOOLS)
    _measured(session, "tests/plugins/espeak")


@nox.session(python=DEFAULT)
def lowest(session: nox.Session) -> None:
    """The oldest dependencies that are allowed."""
    session.env["UV_RESOLUTION"] = "lowest-direct"
    session.install(*CORE, *ESPEAK, *TEST_TOOLS)
    session.run("pytest", "-q", "tests/core", "tests/conformance", "tests/plugins/espeak", env=ENVIRONMENT)


@nox.session(python=DEFAULT)
def accel(session: nox.Session) -> None:
    """What needs torch."""
    session.install(*_local_torch(), "-e", "./core[testing,torch]", *TEST_TOOLS, "transformers>=5")
    # The models of these tests are so small that a second thread only waits for the first.
    session.env["OMP_NUM_THREADS"] = "1"
    _measured(session, "tests/accel")


@nox.session(python=DEFAULT)
def chatterbox(session: nox.Session) -> None:
    """Chatterbox against upstream's own package, which runs with newer versions than it pins."""
    session.install(*_local_torch(), "-e", "./core[testing,torch,hub]", *TEST_TOOLS)
    session.install("--override", "plugins/chatterbox/overrides.txt", "-e", "./plugins/chatterbox")
    session.env["OMP_NUM_THREADS"] = "1"
    _measured(session, "tests/plugins/chatterbox", "-m", "not slow")


@nox.session(python=DEFAULT)
def docs(session: nox.Session) -> None:
    """The documentation says what the code does: references complete, examples run, links resolve."""
    session.install(*CORE, *ESPEAK, "pytest>=8")
    session.install("--no-deps", "-e", "./plugins/chatterbox")  # its spec and options need nothing heavy
    session.run("pytest", "-q", "tests/docs", env=ENVIRONMENT)


@nox.session(python=DEFAULT)
def packaging(session: nox.Session) -> None:
    """Wheels from the sources, in fresh environments, with plugins of third parties."""
    session.install("pytest>=8", "uv", "build", "hatchling>=1.27")
    session.run("pytest", "-q", "tests/packaging", env=ENVIRONMENT)


@nox.session(python=DEFAULT)
def coverage(session: nox.Session) -> None:
    """Put the measurements of the sessions before together."""
    session.install("coverage>=7")
    if not any(Path().glob(".coverage.*")):
        session.skip("nothing was measured")
    session.run("coverage", "combine")
    session.run("coverage", "report", "--fail-under=95")


def _measured(session: nox.Session, *paths: str) -> None:
    """Run tests; measure the lines that one of the Pythons covers."""
    environment = {**ENVIRONMENT, **session.env}
    if session.python == DEFAULT:
        session.run("coverage", "run", "-m", "pytest", "-q", *paths, *session.posargs, env=environment)
    else:
        session.run("pytest", "-q", *paths, *session.posargs, env=environment)


def _local_torch() -> list[str]:
    """A torch wheel in one of pip's local folders, which the index's newest would win over."""
    folders = [Path(folder) for folder in os.environ.get("PIP_FIND_LINKS", "").split()]
    wheels = [wheel for folder in folders if folder.is_dir() for wheel in sorted(folder.glob("torch-*.whl"))]
    return [str(wheel) for wheel in wheels[-1:]]
