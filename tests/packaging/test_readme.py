"""The README's first command, on a fresh copy of the sources, with nothing preinstalled but Python and pip."""

import array
import math
import re
import shutil
import wave
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path):
    """The files that a fresh clone has."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".git", ".venv*", ".nox", "__pycache__", "*.egg-info", ".*_cache", "*.wav", "dist")
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


def command(marker):
    """The command that the README shows under a marker."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.search(rf"<!-- {marker} -->\n```bash\n(.+)\n```\n<!-- end -->", text).group(1)


@pytest.mark.full  # by default: test_strangers_are_found_and_speak, from the same wheels
def test_first_command_speaks(checkout, run):
    """It leaves a WAV of the right length and level."""
    run("bash", "-euo", "pipefail", "-c", command("first sound"), cwd=checkout)
    with wave.open(str(checkout / "hello.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24000)
        seconds = file.getnframes() / file.getframerate()
        samples = array.array("h", file.readframes(file.getnframes()))
    assert 1.5 < seconds < 5
    level = math.sqrt(sum(sample * sample for sample in samples) / len(samples)) / 32768
    assert 0.02 < level < 0.5
    assert max(samples) < 32767


def test_second_command_is_what_ci_runs():
    """`.ci/run` takes it from the README, it ends in nox, and what it leaves out follows."""
    assert command("all tests").endswith("/nox")
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert script.index("all tests") < script.index("/nox -t full\n")
