"""``realtts say --play``, with players that are small scripts."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiers import by_default

from realtts import errors
from realtts.audio import players

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the players are shell scripts")

WORDS = "one two three four five six seven eight"


@pytest.fixture
def install(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a script on a PATH that holds nothing else of ours; its arguments go to the file ``arguments``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(name: str, body: str) -> None:
        script = folder / name
        script.write_text(f'#!/bin/sh\nPATH=/usr/bin:/bin\necho "$@" > arguments\n{body}\n', encoding="utf-8")
        script.chmod(0o755)

    return install


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("paplay", "--raw --rate=16000 --format=s16le --channels=1"),
        ("aplay", "-q -t raw -f S16_LE -c 1 -r 16000 -"),
        ("ffplay", "-nodisp -autoexit -loglevel error -f s16le -ar 16000 -i pipe:0"),
        ("play", "-q -t raw -r 16000 -e signed -b 16 -c 1 -"),
    ],
)
def test_players_are_fed(cli, work, install, name, arguments):
    """The samples go to the player as they come, and to the file if there is one."""
    install(name, "cat > heard")
    result = cli("say", WORDS, "-p", "fake", "--play", "-o", "a.wav", "--seed", 1)
    assert result.code == 0
    assert (work / "arguments").read_text().strip() == arguments
    heard = np.frombuffer((work / "heard").read_bytes(), "<i2")
    written = soundfile.read(work / "a.wav", dtype="int16")[0]
    assert len(heard) == len(written) == 12_800
    assert np.abs(heard.astype(int) - written).max() <= 2


def test_without_a_file(cli, work, install):
    """Playing alone writes no file, and names no rate: whoever listens sets the pace."""
    install("aplay", "cat > heard")
    result = cli("say", WORDS, "-p", "fake", "--play")
    assert result.code == 0
    assert result.err.startswith("played: 0.80 s of audio, ")
    assert "RTF" not in result.err
    assert sorted(path.name for path in work.iterdir()) == ["arguments", "heard"]


def test_players_of_whole_files(cli, work, install):
    """A player like afplay gets a finished WAV file, which is gone afterwards."""
    install("afplay", 'cp "$1" heard.wav')
    assert cli("say", WORDS, "-p", "fake", "--play").code == 0
    assert soundfile.info(work / "heard.wav").duration == pytest.approx(0.8)
    assert not Path((work / "arguments").read_text().strip()).exists()


def test_players_that_stream_come_first(install):
    """A player that starts at once is preferred to one that waits for the end."""
    install("afplay", "")
    install("play", "")
    assert players.find_player().name == "play"


def test_no_player(cli, work, install):
    """Without a player the error says what to install, and nothing is spoken."""
    result = cli("say", WORDS, "-p", "fake", "--play", "-o", "a.wav")
    assert result.code == 2
    assert result.err.startswith("--play: no player was found")
    assert "install pulseaudio-utils, alsa-utils, ffmpeg or sox" in result.err
    assert not any(work.iterdir())


def test_a_player_that_fails(cli, install):
    """A player without a sound device is an error with its own words."""
    install("aplay", "echo first >&2; echo 'cannot find card 0' >&2; exit 1")
    result = cli("say", "word " * 500, "-p", "fake", "--play")
    assert result.code == 2
    assert "player aplay: it ended with code 1 (cannot find card 0). Fix: " in result.err


def test_a_player_that_fails_at_the_end(cli, install):
    """The exit code counts when everything was handed over, too."""
    install("aplay", "cat > heard; exit 3")
    result = cli("say", WORDS, "-p", "fake", "--play")
    assert (result.code, "it ended with code 3" in result.err) == (2, True)


@pytest.mark.parametrize("body", by_default({"at-once": "exit 1", "at-the-end": "cat > heard; exit 1"}, "at-once"))
def test_a_player_that_fails_beside_a_file(cli, work, install, body):
    """The file is worth more than the sound: it is finished, with a warning."""
    install("aplay", body)
    result = cli("say", "word " * 500, "-p", "fake", "--play", "-o", "a.wav")
    assert result.code == 0
    assert "warning: player aplay: it ended with code 1" in result.err
    assert soundfile.info(work / "a.wav").duration == pytest.approx(50)


def test_a_player_that_cannot_be_started(cli, work, monkeypatch):
    """A program that is no program."""
    (work / "broken").write_text("not a program")
    broken = players.Player("aplay", str(work / "broken"), streams=True)
    monkeypatch.setattr("realtts.cli.outputs.find_player", lambda: broken)
    result = cli("say", WORDS, "-p", "fake", "--play")
    assert (result.code, "player aplay: " in result.err) == (2, True)


@pytest.mark.parametrize("player", ["aplay", pytest.param("afplay", marks=pytest.mark.full)])
def test_interrupt_ends_the_player(cli, work, install, player, tmp_path, monkeypatch):  # noqa: PLR0917 - fixtures
    """Ctrl-C ends the player with the speech, even a deaf one, and leaves no temporary file."""
    install(player, "trap '' TERM; cat > heard; sleep 60")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(players, "_PATIENCE_S", 0.1)

    def send():
        # Python loses a child whose start is interrupted, so the player must have begun to hear.
        heard, folder = work / "heard", tmp_path / "temporary"
        while not ((heard.is_file() and heard.stat().st_size) or any(folder.rglob("*.wav"))):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    result = cli("say", "word " * 1000, "-p", "fake", "--play", "-O", "delay_s=0.05")
    sender.join()
    assert result.code == 130
    assert result.err.startswith("Interrupted after ")
    assert not any((tmp_path / "temporary").iterdir())


def test_the_command_of_windows():
    """PowerShell plays a file whose name may hold a quote."""
    player = players.Player("powershell", "powershell.exe", streams=False)
    assert player.command(Path("it's.wav"))[-1] == "(New-Object System.Media.SoundPlayer 'it''s.wav').PlaySync()"


def test_powershell_is_for_windows_only(monkeypatch):
    """Elsewhere it has no sound player."""
    monkeypatch.setattr(players.shutil, "which", lambda name: name)
    monkeypatch.setattr(players.sys, "platform", "linux")
    assert "powershell" not in [player.name for player in players.installed_players()]
    monkeypatch.setattr(players.sys, "platform", "win32")
    assert players.installed_players()[-1].name == "powershell"


def test_the_error_is_typed(monkeypatch):
    """Callers of the library get the same error."""
    monkeypatch.setattr(players.shutil, "which", lambda _: None)
    with pytest.raises(errors.OutputError):
        players.find_player()
