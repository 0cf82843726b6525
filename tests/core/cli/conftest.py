"""What the tests of the command line share: plugins that need nothing installed, and ways to run commands."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from realtts.cli.app import run

PLUGIN = """
from realtts.contract.spec import Checkpoint, ProviderSpec

def make(name, **changes):
    fields = {
        "summary": "Tones instead of speech", "sample_rates": (16000,), "plain": "realtts.testing.fake:FakeProvider",
        "optimized": "realtts.testing.fake:FastFakeProvider", "options": "realtts.testing.fake:FakeOptions",
        "capabilities": {"clone", "voices", "marks", "streaming"}, "languages": ("en", "de", "pt-br"),
        "licence": "Apache-2.0", "reference_text": "optional",
    }
    return ProviderSpec(name=name, **{**fields, **changes})

fake = make("fake")
breaks = make("breaks", plain="fake_variants:Breaks", optimized=None)
falls = make("falls", optimized="fake_variants:Falls")
stuck = make("stuck", plain="fake_variants:Stuck", optimized="fake_variants:Falls")
mute = make("mute", capabilities=(), checkpoints=(Checkpoint("small", "owner/small", 3 << 20, "MIT"),))
pieces = make("pieces", max_chars=200)
markup = make("markup", plain="fake_variants:Markup", optimized=None, options="fake_variants:MarkupOptions",
              capabilities={"ssml", "marks"}, languages=tuple(f"l{c}" for c in "abcdefghijklmnop"))
"""

VARIANTS = """
import dataclasses
from pydantic import Field
from realtts import Chunk, Options, hookimpl
from realtts.testing.fake import FakeProvider

class Breaks(FakeProvider):
    @hookimpl
    def generate(self, context, model, request):
        for number, chunk in enumerate(super().generate(context, model, request)):
            if number == 5:
                raise RuntimeError("the model broke")
            yield dataclasses.replace(chunk, warnings=("it creaks",))

class Falls:
    @hookimpl
    def compile(self, context, model):
        raise RuntimeError("no [bold]compiler[/bold]\\nhere")

class Stuck:
    @hookimpl
    def load(self, context):
        raise OSError("no weights")
    @hookimpl
    def generate(self, context, model, request):
        yield

class MarkupOptions(Options):
    ssml: bool = Field(False, description="It is markup.")
    label: str = Field("", description="Any text.")
    limit: int | None = Field(None, description="A number or nothing.")

class Markup(FakeProvider):
    @hookimpl
    def generate(self, context, model, request):
        print("|", len(request.text), repr(request.options.label), request.options.limit)
        yield from FakeProvider().generate(context, model, request)
"""
NAMES = ("fake", "breaks", "falls", "stuck", "mute", "pieces", "markup")


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


def add_distribution(folder: Path, name: str, entry_points: str, **modules: str) -> None:
    """What pip would have installed: modules, and the entry points that name them."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source, encoding="utf-8")


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like site-packages with the fake providers in it."""
    folder = tmp_path_factory.mktemp("plugins")
    points = "[realtts.providers]\n" + "".join(f"{name} = fake_plugin:{name}\n" for name in NAMES)
    add_distribution(folder, "fake-plugin", points, fake_plugin=PLUGIN, fake_variants=VARIANTS)
    return folder


@pytest.fixture
def work(plugins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a test, with the fake providers installed and no settings but a data folder."""
    for name in [name for name in os.environ if name.startswith("REALTTS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PYTHONPATH", str(plugins))
    monkeypatch.syspath_prepend(plugins)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def cli(work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs a command in this process."""

    def call(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def process(work: Path):
    """Runs a command in a process of its own."""

    def call(*arguments: object, **options) -> Result:
        command = [sys.executable, "-m", "realtts", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)
        return Result(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def recording(work: Path) -> Path:
    """A reference recording of two seconds."""
    path = work.parent / "me.wav"
    time = np.arange(32_000) / 16_000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 220 * time), 16_000)
    return path


@pytest.fixture
def staged(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an installed provider with stages, weights, and a testing module."""
    folder = tmp_path / "staged"
    source = "from staged_provider import *\nspec = staged_spec()\n"
    add_distribution(
        folder, "staged-plugin", "[realtts.providers]\nstaged = staged_plugin:spec\n", staged_plugin=source
    )
    monkeypatch.syspath_prepend(folder)
    return "staged"


@pytest.fixture
def bad_plugins(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plugins with faults: one that raises, two that claim one name, and two extensions of which one is broken."""
    folder = tmp_path / "bad"
    add_distribution(
        folder, "bad-plugin", "[realtts.providers]\nbad = bad_plugin:spec\n", bad_plugin="raise ValueError('[red]no')"
    )
    for name in ("one", "two"):
        add_distribution(folder, name, "[realtts.providers]\nsame = fake_plugin:fake\n")
    good = "class Upper:\n    def prepare_text(self, text, language):\n        return text.upper()\n"
    add_distribution(
        folder,
        "some-extensions",
        "[realtts.extensions]\nupper = some_extensions:Upper\nbroken = some_extensions:nothing\n",
        some_extensions=good,
    )
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture(autouse=True)
def _no_load_is_slow(monkeypatch):
    """Say nothing of a load, however slow the machine is: a test about that sets another limit."""
    monkeypatch.setattr("realtts.cli.loading._NOTICED_S", 600.0)


@pytest.fixture(autouse=True)
def _hub_answers(monkeypatch):
    """Let the doctor think that the hub answers, wherever the tests run."""
    monkeypatch.setattr("realtts.cli.readiness._network", lambda: "reachable")
