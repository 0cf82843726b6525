"""``realtts download`` and ``realtts models``."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from realtts.cli.app import run
from realtts.testing import FakeHub

pytest.importorskip("huggingface_hub")

WEIGHTS = b"w" * 3_000_000
PLUGIN = """
from realtts.contract.spec import Checkpoint, ProviderSpec

def make(name, *checkpoints):
    return ProviderSpec(name=name, summary="Tones.", sample_rates=(16000,),
                        plain="realtts.testing.fake:FakeProvider", checkpoints=checkpoints)

files = ("config.json", ("model.safetensors", "model.pt"))
weighty = make("weighty", Checkpoint("tiny", "owner/model", 3 << 20, "MIT", {commit!r}, files=files))
vague = make("vague", Checkpoint("unsaid", "owner/vague"))
bundled = make("bundled", Checkpoint("inside"))
"""


@pytest.fixture
def hub(work, tmp_path, monkeypatch):
    """A hub, and providers whose weights lie there."""
    with FakeHub() as hub:
        for name, value in hub.environment(tmp_path / "hf").items():
            monkeypatch.setenv(name, value)
        hub.commit = hub.add("owner/model", {"config.json": b"{}", "model.safetensors": WEIGHTS}, licence="mit")
        folder = tmp_path / "weights"
        about = folder / "weights_plugin-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: weights-plugin\nVersion: 1.0\n")
        points = "".join(f"{name} = weights_plugin:{name}\n" for name in ("weighty", "vague", "bundled"))
        (about / "entry_points.txt").write_text(f"[realtts.providers]\n{points}")
        (folder / "weights_plugin.py").write_text(PLUGIN.replace("{commit!r}", repr(hub.commit)))
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield hub
    sys.modules.pop("weights_plugin", None)


def flat(text):
    """Without line breaks and columns."""
    return " ".join(text.split())


def test_shows_then_downloads(cli, hub):
    """Source, licence and size come first; the second time there is nothing to do."""
    result = cli("download", "weighty")
    assert result.code == 0, result.err
    out = flat(result.out)
    assert f"source owner/model at {hub.commit}" in out
    assert "licence MIT" in out
    assert "size 2 files, 2.9 MiB; 2.9 MiB to download" in out
    assert "Done: " in out
    assert result.err == ""
    again = flat(cli("download", "weighty").out)
    assert "all in the cache" in again
    assert "All files were here already: " in again
    assert len(hub.downloads("model.safetensors")) == 1


def test_a_terminal_sees_a_bar(cli, hub, monkeypatch):
    """On a terminal the bar comes and goes; the result is the same."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    result = cli("download", "weighty")
    assert (result.code, "Done: " in result.out) == (0, True)


def test_dry_run(cli, hub):
    """It shows, and fetches nothing."""
    result = cli("download", "weighty", "--dry-run")
    assert (result.code, "Nothing was fetched" in result.out) == (0, True)
    assert hub.downloads("model.safetensors") == []
    found = json.loads(cli("download", "weighty", "--dry-run", "--json").out)
    assert (found["missing_bytes"], found["commit"], found["licence"]) == (len(WEIGHTS) + 2, hub.commit, "MIT")


def test_as_json(cli, hub):
    """The paths, for programs."""
    found = json.loads(cli("download", "weighty", "--verify", "--json").out)
    assert list(found["files"]) == ["config.json", "model.safetensors"]
    assert Path(found["files"]["model.safetensors"]).read_bytes() == WEIGHTS


def test_another_model(cli, hub, work):
    """A hub id with a revision, and a folder, are taken by the files of the provider's first checkpoint."""
    hub.add("other/finetune", {"config.json": b"{}", "model.pt": b"p" * 2000}, revision="v2")
    result = cli("download", "weighty", "--model", "other/finetune@v2")
    assert "source other/finetune at v2" in flat(result.out)
    assert "licence not stated" in flat(result.out)
    (work / "mine").mkdir()
    result = cli("download", "weighty", "--model", "mine")
    assert (result.code, "config.json, model.safetensors or model.pt missing" in flat(result.err)) == (2, True)


def test_nothing_to_download(cli, hub):
    """A plugin that carries its data, and one that does not say what it needs."""
    assert cli("download", "bundled").out == "Nothing to download: the plugin has all it needs.\n"
    result = cli("download", "vague")
    assert result.code == 2
    assert "realtts status vague --load" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "provider 'nothing'"),
        (["weighty", "--model", "owner/none"], "no repository owner/none"),
        (["weighty", "--model", "owner/model@v9"], "no revision v9"),
        (["weighty", "--model", "x"], "there is no checkpoint or folder 'x'"),
    ],
)
def test_errors_are_one_line(cli, hub, arguments, message):
    """Exit code 2, and who, what and the fix."""
    result = cli("download", *arguments)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert message in result.err


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.full)])
def test_an_interrupt_can_be_resumed(cli, hub, tmp_path, begun, number):
    """Ctrl-C keeps what has arrived, says so, and the next try goes on."""
    gate = hub.hold("model.safetensors")
    command = [sys.executable, "-m", "realtts", "download", "weighty"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    blobs = tmp_path / "hf" / "hub" / "models--owner--model" / "blobs"
    for _ in range(6000):
        if begun(blobs):
            break
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    gate.set()
    assert process.returncode == 130
    assert "What has arrived is kept" in err
    assert "to download" in cli("download", "weighty").out
    assert hub.downloads("model.safetensors")[-1].range.startswith("bytes=")


def test_models(cli, hub):
    """What lies where, whether it is complete, and how big it is."""
    rows = [line.split()[:3] for line in cli("models").out.splitlines()]
    assert ["unsaid", "vague", "absent"] in rows
    assert ["tiny", "weighty", "absent"] in rows
    cli("download", "weighty")
    listing = cli("models").out
    assert "complete  2.9 MiB" in listing
    assert listing.splitlines()[-1].endswith(": 2.9 MiB")
    found = {model["name"]: model for model in json.loads(cli("models", "--json").out)["models"]}
    assert (found["tiny"]["state"], found["tiny"]["size_bytes"]) == ("complete", len(WEIGHTS) + 2)
    assert found["tiny"]["names"] == ["config.json", "model.safetensors"]
    assert found["unsaid"]["state"] == "absent"


def test_no_models(cli, monkeypatch):
    """Where nothing has weights the listing says so."""
    monkeypatch.setattr("realtts.registry.providers.installed", list)
    assert "No installed provider has weights" in cli("models").out


@pytest.mark.parametrize(
    "name",
    ["weighty/tiny", *(pytest.param(name, marks=pytest.mark.full) for name in ("tiny", "weighty", "owner/model"))],
)
def test_models_are_removed(cli, hub, name):
    """By any of its names, without a question if told so."""
    cli("download", "weighty")
    result = cli("models", "remove", name, "--yes")
    assert (result.code, result.out) == (0, "removed 'tiny': 2.9 MiB freed\n")
    assert cli("models", "remove", name, "--yes").out == "Nothing of it is on this machine.\n"
    assert cli("download", "weighty").code == 0
    assert len(hub.downloads("model.safetensors")) == 2


class Terminal(io.StringIO):
    """A standard input where somebody types."""

    def isatty(self):
        """It is one."""
        return True


@pytest.mark.parametrize(("answer", "removed"), [("y\n", True), ("n\n", False), ("", False)])
def test_removing_asks(cli, hub, capsys, answer, removed):
    """A terminal is asked; anything but yes keeps the files."""
    cli("download", "weighty")
    sys.stdin = Terminal(answer)  # the fixture puts back what was there
    assert run(["models", "remove", "tiny"]) == 0
    captured = capsys.readouterr()
    assert "tiny: 2.9 MiB in " in captured.err
    assert ("removed 'tiny'" in captured.out) == removed
    assert ("Nothing was removed" in captured.out) != removed


def test_nobody_to_ask(cli, hub):
    """In a script --yes is needed."""
    cli("download", "weighty")
    result = cli("models", "remove", "tiny")
    assert (result.code, "--yes" in result.err) == (2, True)
    assert (cli("models", "remove", "tny", "-y").code, "complete" in cli("models").out) == (2, True)


def test_listings_do_not_import_the_library(hub):
    """`realtts providers` stays as light as it was."""
    code = "import sys\nfrom realtts.cli.app import run\nrun(['providers'])\nprint('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "weighty" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"
