"""``realtts doctor``: what is there, what is missing, and what mends it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from realtts.machine import survey as machine

TORCH = """
__version__ = "9.9"
class version:
    cuda = {cuda!r}
    hip = None
class cuda:
    is_available = staticmethod(lambda: {available})
    device_count = staticmethod(lambda: 1)
    get_device_name = staticmethod(lambda index: "Big GPU")
class backends:
    class mps:
        is_available = staticmethod(lambda: False)
"""
SMI = "#!/bin/sh\necho 'NVIDIA H100, 550.1, 81559 MiB, 9.0'\n"


@pytest.fixture
def doctor(cli, tmp_path, monkeypatch):
    """Runs the doctor in a place where nothing but the fake providers is installed."""
    monkeypatch.setattr("realtts.cli.findings.installs_with_pip", lambda: False)
    monkeypatch.setattr(machine.importlib.util, "find_spec", only_ours(machine.importlib.util.find_spec, tmp_path))
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return lambda *arguments: cli("doctor", *arguments)


def only_ours(find_spec, folder):
    """Whether torch or pip happen to be installed must not matter."""

    def found(name):
        if name == "torch":
            return object() if (folder / "torch.py").exists() else None
        return None if name == "pip" else find_spec(name)

    return found


def add_torch(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """A torch that the probe's process will import."""
    (folder / "torch.py").write_text(source, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))


def add_gpu(folder: Path, script: str = SMI) -> None:
    """A driver's tool that reports a GPU."""
    path = folder / "bin" / "nvidia-smi"
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)


def test_everything_is_there(doctor):
    """The report names the machine and every plugin, and the exit code is 0."""
    result = doctor()
    out = " ".join(result.out.split())
    assert result.code == 0
    assert f"({sys.executable}, environment " in out
    for part in ("CPU ", "physical cores", "memory ", "GPU no NVIDIA GPU", "torch not installed", "libsndfile "):
        assert part in out
    assert "writes wav, flac, mp3, opus" in out
    assert "players none (for --play: install" in out
    assert "from environment (REALTTS_DATA_DIR)" in out
    assert "fake ok (fake-plugin 1.0)" in out
    assert out.endswith("nothing is missing")


def test_as_json(doctor):
    """The same for programs."""
    report = json.loads(doctor("--json").out)
    assert report["problems"] == []
    assert report["cpu"]["physical_cores"] >= 1
    assert report["memory"]["total"] > report["memory"]["available"] > 0
    assert report["disk"]["writable"] is True
    assert {provider["name"] for provider in report["providers"]} >= {"fake", "mute"}


def test_no_provider(doctor, monkeypatch):
    """Without a provider the cure is a command."""
    monkeypatch.setattr("realtts.registry.providers.installed", list)
    result = doctor()
    assert result.code == 1
    assert "no usable provider is installed\n      uv pip install realtts-espeak\n" in result.out


def test_pip_is_named_where_it_is(doctor, monkeypatch):
    """The command fits the environment."""
    monkeypatch.setattr("realtts.cli.findings.installs_with_pip", lambda: True)
    monkeypatch.setattr("realtts.registry.providers.installed", list)
    assert "      pip install realtts-espeak\n" in doctor().out


def test_broken_plugins(doctor, bad_plugins):
    """Each broken plugin with the command that mends it."""
    result = doctor()
    out = " ".join(result.out.split())
    assert result.code == 1
    assert "the provider 'bad' is broken uv pip install --force-reinstall bad-plugin" in out
    assert "the provider 'same' is broken pip uninstall two" in out
    assert "the extension 'broken' is broken uv pip install --force-reinstall some-extensions" in out
    assert "upper ok (some-extensions 1.0)" in out


@pytest.fixture
def isolated(work):
    """A provider that is installed in an environment alone."""
    from realtts.contract.spec import Checkpoint
    from realtts.isolation.environments import FILE, IsolatedEnvironment, folder
    from realtts.testing import fake_spec
    from realtts.wire.specs import spec_to_json

    weights = (Checkpoint("large", "owner/large", 5 << 20, "MIT", files=("model.bin",)),)
    spec = spec_to_json(fake_spec(name="alone", torch=True, checkpoints=weights))
    home = folder() / "alone"
    home.mkdir(parents=True)
    made = IsolatedEnvironment("alone", Path(sys.executable), spec, "0.1.0", {"realtts-alone": "3.0"}, "realtts-alone")
    (home / FILE).write_text(json.dumps(made.as_dict(home)), encoding="utf-8")


@pytest.mark.usefixtures("isolated")
def test_isolated_providers(doctor, cli, monkeypatch):
    """They are listed with the reason, need no torch here, and their weights are known."""
    result = doctor()
    out = " ".join(result.out.split())
    assert result.code == 0
    assert "alone ok (realtts-alone 3.0), isolated: its plugin is not installed here" in out
    assert "fake ok (fake-plugin 1.0), in process: its plugin is installed here" in out
    assert "runs isolated: its plugin is not installed here" in " ".join(cli("providers").out.split())
    assert "large" in cli("models").out
    monkeypatch.setenv("REALTTS_ISOLATION", "never")
    result = doctor()
    assert result.code == 1
    assert "'alone' cannot run: its plugin is not installed here, and isolation is 'never'" in " ".join(
        result.out.split()
    )
    assert "      realtts install alone" in result.out


def test_what_does_not_fit_here(doctor, monkeypatch):
    """Packages that a plugin cannot use, with the command that lets it be."""
    monkeypatch.setattr("realtts.cli.conflicts.conflicts", lambda distribution, spec: ["a wants b==1, here is 2"])
    result = doctor()
    out = " ".join(result.out.split())
    assert result.code == 1
    assert "'fake' may not work beside what is installed here: a wants b==1, here is 2" in out
    assert "realtts install fake --from fake-plugin" in out


def test_torch_is_missing(doctor, monkeypatch):
    """A provider that runs on torch wants it installed."""
    from realtts import Installed
    from realtts.testing import fake_spec

    wanting = Installed("fake", fake_spec(torch=True), None, "fake-plugin", "1.0")
    monkeypatch.setattr("realtts.registry.providers.installed", lambda: [wanting])
    result = doctor()
    assert result.code == 1
    assert "torch is missing, which fake needs\n      uv pip install 'realtts[torch]'" in result.out


@pytest.mark.skipif(sys.platform == "win32", reason="the driver's tool is a shell script")
@pytest.mark.parametrize(
    ("cuda", "available", "shown", "problem"),
    [
        ("12.8", True, "9.9, CUDA 12.8, runs on: Big GPU", ""),
        (None, False, "9.9, CPU build, runs on: cpu only", "torch is built without CUDA"),
        ("12.8", False, "9.9, CUDA 12.8, runs on: cpu only", "cannot use the NVIDIA GPU (driver 550.1)"),
    ],
    ids=["good", "cpu-build", "old-driver"],
)
def test_torch_and_gpu(doctor, tmp_path, monkeypatch, cuda, available, shown, problem):  # noqa: PLR0917 - fixtures
    """The build of torch is held against the GPU that the driver sees."""
    add_torch(tmp_path, monkeypatch, TORCH.format(cuda=cuda, available=available))
    add_gpu(tmp_path)
    result = doctor()
    out = " ".join(result.out.split())
    assert "GPU NVIDIA H100, 81559 MiB, compute capability 9.0, driver 550.1" in out
    assert shown in out
    assert problem in out
    assert result.code == (1 if problem else 0)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ImportError('libcudart.so.99 is missing')", "libcudart.so.99 is missing"),
        ("import os; os._exit(9)", "it ended with code 9"),
        ("import os; os._exit(0)", "it gave no answer"),
        ("import os; os.abort()", "it ended with code -6"),
    ],
    ids=["raises", "exits", "silent", "crashes"],
)
def test_a_broken_torch_does_not_break_the_doctor(doctor, tmp_path, monkeypatch, source, reason):
    """It is imported in a process of its own."""
    add_torch(tmp_path, monkeypatch, source)
    result = doctor()
    if not (sys.platform == "win32" and "abort" in source):
        assert reason in " ".join(result.out.split())
    assert result.code == 1
    assert "      uv pip install --force-reinstall torch\n" in result.out


def test_a_torch_that_hangs(doctor, tmp_path, monkeypatch):
    """The probe has a limit."""
    monkeypatch.setattr(machine, "_TORCH_SECONDS", 0.01)
    add_torch(tmp_path, monkeypatch, "import time; time.sleep(60)")
    assert "BROKEN: no answer within 0.01 s" in doctor().out


@pytest.mark.skipif(sys.platform == "win32", reason="the driver's tool is a shell script")
@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 9\n", "not a program", "#!/bin/sh\necho nonsense\n"])
def test_a_broken_driver_tool(doctor, tmp_path, script):
    """Without an answer there is no GPU."""
    add_gpu(tmp_path, script)
    assert "no NVIDIA GPU" in doctor().out


def test_mps_and_rocm():
    """The words for other builds of torch."""
    from realtts.cli.doctor import _torch

    torch = {"installed": True, "error": None, "version": "9", "cuda_build": None, "devices": []}
    assert _torch({**torch, "hip_build": None, "mps": True}) == "9, CPU build, runs on: mps"
    assert _torch({**torch, "hip_build": "6.1", "mps": False}) == "9, ROCm 6.1, runs on: cpu only"


def test_broken_audio(doctor, monkeypatch):
    """A libsndfile that cannot be imported is found; so is an old one."""
    monkeypatch.setitem(sys.modules, "soundfile", None)
    result = doctor()
    assert result.code == 1
    assert "libsndfile   BROKEN" in result.out
    assert "      uv pip install --force-reinstall soundfile\n" in result.out


def test_old_audio(doctor, monkeypatch):
    """A libsndfile without MP3."""
    import soundfile

    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": ""})
    result = doctor()
    assert result.code == 1
    assert "cannot write MP3 or Opus" in result.out


def test_settings_in_force(doctor, work, monkeypatch):
    """Each value that is set, and where."""
    monkeypatch.setenv("REALTTS_THREADS", "3")
    monkeypatch.setenv("DISABLE_OPTIMIZATION", "true")
    (work / "realtts.toml").write_text("queue_size = 5\n")
    out = " ".join(doctor().out.split())
    assert "threads 3, from environment (REALTTS_THREADS)" in out
    assert "optimize False, from environment (DISABLE_OPTIMIZATION)" in out
    assert "queue_size 5, from realtts.toml" in out


def test_no_settings(doctor, monkeypatch, tmp_path):
    """Where nothing is set, the report says so, and names the user's own data folder."""
    monkeypatch.delenv("REALTTS_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    out = " ".join(doctor().out.split())
    assert "none everything has its default value" in out
    if sys.platform == "linux":
        assert f"freein{tmp_path}/share/realtts" in out.replace(" ", "")  # a long path goes on in the next line


def test_wrong_settings(doctor, monkeypatch):
    """A variable that is no setting is a problem, with its name."""
    monkeypatch.setenv("REALTTS_THREDS", "3")
    result = doctor()
    assert result.code == 1
    assert "environment (REALTTS_THREDS): unknown setting 'threds' (did you mean 'threads'?)" in " ".join(
        result.out.split()
    )


def test_a_data_folder_that_cannot_be_written(doctor, work, monkeypatch):
    """Voices could not be saved."""
    (work / "file").touch()
    monkeypatch.setenv("REALTTS_DATA_DIR", str(work / "file" / "data"))
    result = doctor()
    assert result.code == 1
    assert "cannot be written\n      set REALTTS_DATA_DIR" in result.out


def test_in_a_process(process):
    """The real command ends with 0 or 1 and without a traceback."""
    result = process("doctor")
    assert result.code in {0, 1}
    assert result.err == ""
    assert subprocess.list2cmdline([sys.executable]) in result.out
