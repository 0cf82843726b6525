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
MODELS = [folder for name in ("chatterbox", "f5", "qwen3", "vieneu", "toylm") for folder in ("-e", f"./plugins/{name}")]
TEST_TOOLS = ["pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6.100", "coverage>=7.10"]

# Files of tests run beside each other, one process per core; threads of their own would only be in each other's way.
PYTEST = ["pytest", "-q", "--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile", "-m", "not slow"]
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


@nox.session(python=DEFAULT)
def lint(session: nox.Session) -> None:
    """Style, formatting and types."""
    session.install(*_local_torch(), "-e", "./core[torch]")  # mypy knows torch's types where it can be had
    session.install("ruff>=0.9", "mypy>=1.15", *CORE, *ESPEAK, "pytest>=8", "nox")
    session.install("--no-deps", *MODELS)  # upstream's packages are imported by name, untyped
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", "core/src", *sorted(map(str, Path().glob("plugins/*/src"))), "tests/typing")


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """The core alone, as an application without any plugin has it."""
    session.install("-e", "./core[testing,hub,plot,isolation]", *TEST_TOOLS)
    # Workers and environments are made by processes, not by syntax: the newest Python beside the usual one suffices.
    isolated = ["tests/isolation"] if session.python in {DEFAULT, PYTHONS[-1]} else []
    _test(session, "tests/core", "tests/conformance", *isolated)


@nox.session(python=PYTHONS)
def espeak(session: nox.Session) -> None:
    """The embedded voice, through the core."""
    session.install(*CORE, *ESPEAK, *TEST_TOOLS)
    _test(session, "tests/plugins/espeak")


@nox.session(python=DEFAULT)
def lowest(session: nox.Session) -> None:
    """The oldest dependencies that are allowed."""
    session.env["UV_RESOLUTION"] = "lowest-direct"
    session.install(*CORE, *ESPEAK, *TEST_TOOLS)
    _test(session, "tests/core", "tests/conformance", "tests/plugins/espeak", measured=False)


@nox.session(python=DEFAULT)
def accel(session: nox.Session) -> None:
    """What needs torch."""
    session.install(
        *_local_torch(), "-e", "./core[testing,torch]", "-e", "./plugins/toylm", *TEST_TOOLS, "transformers>=5"
    )
    _test(session, "tests/accel")


@nox.session(python=DEFAULT)
def chatterbox(session: nox.Session) -> None:
    """Chatterbox against upstream's own package, which runs with newer versions than it pins."""
    _install_model(session, "chatterbox")
    _test(session, "tests/plugins/chatterbox")


@nox.session(python=DEFAULT)
def chatterbox_pins(session: nox.Session) -> None:
    """Chatterbox beside everything in the versions that upstream pins, but for torch."""
    free = Path(session.create_tmp()) / "free.txt"
    free.write_text("torch>=2.6\ntorchaudio>=2.6\n", encoding="utf-8")
    _install_model(session, "chatterbox", extra="[cjk]", overrides=free)
    paths = [f"tests/plugins/chatterbox/test_{name}.py" for name in ("conformance", "plain", "frontend")]
    _test(session, *paths, measured=False)


@nox.session(python=DEFAULT)
def f5(session: nox.Session) -> None:
    """F5-TTS and E2-TTS against upstream's own package, without what speaking does not need of it."""
    _install_model(session, "f5")
    _test(session, "tests/plugins/f5")


@nox.session(python=DEFAULT)
def qwen3(session: nox.Session) -> None:
    """Qwen3-TTS against upstream's own package, with the newest transformers that it works with."""
    _install_model(session, "qwen3", extra="[upstream]")
    _test(session, "tests/plugins/qwen3")


@nox.session(python=DEFAULT)
def vieneu(session: nox.Session) -> None:
    """VieNeu-TTS against transformers, and its front end against upstream's own package without what its apps need."""
    _install_model(session, "vieneu", extra="[v3]")
    session.install("--no-deps", "torchaudio")  # of the codec's feature extractor, which cloning is compared with
    session.install("onnx")  # random graphs for upstream's engine
    _test(session, "tests/plugins/vieneu")


@nox.session(python=DEFAULT)
def docs(session: nox.Session) -> None:
    """The documentation says what the code does: references complete, examples run, links resolve."""
    session.install(*CORE, *ESPEAK, "pytest>=8")
    session.install("--no-deps", *MODELS)  # specs and options need nothing heavy
    session.run("pytest", "-q", "tests/docs", env=ENVIRONMENT)


@nox.session(python=DEFAULT)
def packaging(session: nox.Session) -> None:
    """Wheels from the sources, in fresh environments, with plugins of third parties."""
    session.install("pytest>=8", "uv", "build", "hatchling>=1.27")
    session.run("pytest", "-q", "-m", "not models", "tests/packaging", env=ENVIRONMENT)


@nox.session(python=DEFAULT)
def isolated(session: nox.Session) -> None:
    """Every model in an environment of its own, spoken with by one program that has the core alone."""
    session.install("pytest>=8", "uv", "hatchling>=1.27")
    session.run("pytest", "-q", "-m", "models", "tests/packaging", *session.posargs, env=ENVIRONMENT)


@nox.session(python=DEFAULT)
def coverage(session: nox.Session) -> None:
    """Put the measurements of the sessions before together."""
    session.install("coverage>=7.10")
    if not any(Path().glob(".coverage.*")):
        session.skip("nothing was measured")
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", "--fail-under=95")


def _install_model(session: nox.Session, name: str, *, extra: str = "", overrides: Path | None = None) -> None:
    """A plugin of a model beside upstream's package, with what this repository says of upstream's pins."""
    session.install(*_local_torch(), "-e", "./core[testing,torch,hub]", *TEST_TOOLS)
    said = overrides or Path("plugins", name, "overrides.txt")
    session.install("--override", str(said), "-e", f"./plugins/{name}{extra}")


def _test(session: nox.Session, *paths: str, measured: bool = True) -> None:
    """Run tests; measure the lines that one of the Pythons covers."""
    start = ["coverage", "run", "-m"] if measured and session.python == DEFAULT else []
    session.run(*start, *PYTEST, *paths, *session.posargs, env=ENVIRONMENT)


def _local_torch() -> list[str]:
    """A torch wheel in one of pip's local folders, which the index's newest would win over."""
    folders = [Path(folder) for folder in os.environ.get("PIP_FIND_LINKS", "").split()]
    wheels = [wheel for folder in folders if folder.is_dir() for wheel in sorted(folder.glob("torch-*.whl"))]
    return [str(wheel) for wheel in wheels[-1:]]
