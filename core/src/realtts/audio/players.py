"""Programs that play audio, found on this machine and fed while the audio is made."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from realtts.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from realtts.audio import Writer

_PATIENCE_S = 2.0

__all__ = ["Playback", "Player", "find_player", "installed_players", "play"]


@dataclass(frozen=True)
class Player:
    """A program that plays audio.

    Attributes:
        name: Name of the program.
        path: Where it was found.
        streams: It reads 16-bit mono samples from its standard input; otherwise it plays a finished WAV file.
    """

    name: str
    path: str
    streams: bool

    def command(self, source: int | Path) -> list[str]:
        """Return the command line.

        Args:
            source: Sample rate in Hz of what comes by standard input, or the file.
        """
        return [self.path, *_ARGUMENTS[self.name](source)]


def _powershell(source: int | Path) -> list[str]:
    quoted = str(source).replace("'", "''")
    return ["-NoProfile", "-Command", f"(New-Object System.Media.SoundPlayer '{quoted}').PlaySync()"]


# Programs that play while they are fed stand before those that want a finished file.
_STREAMING: dict[str, Callable[[int | Path], list[str]]] = {
    "paplay": lambda rate: ["--raw", f"--rate={rate}", "--format=s16le", "--channels=1"],
    "aplay": lambda rate: ["-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(rate), "-"],
    "ffplay": lambda rate: [
        "-nodisp", "-autoexit", "-loglevel", "error", "-f", "s16le", "-ar", str(rate), "-i", "pipe:0",
    ],
    "play": lambda rate: ["-q", "-t", "raw", "-r", str(rate), "-e", "signed", "-b", "16", "-c", "1", "-"],
}  # fmt: skip
_WHOLE: dict[str, Callable[[int | Path], list[str]]] = {"afplay": lambda path: [str(path)], "powershell": _powershell}
_ARGUMENTS = {**_STREAMING, **_WHOLE}


def installed_players() -> list[Player]:
    """Return the players found on this machine, the preferred one first."""
    names = [name for name in _ARGUMENTS if name != "powershell" or sys.platform == "win32"]
    players = [(name, shutil.which(name)) for name in names]
    return [Player(name, path, name in _STREAMING) for name, path in players if path is not None]


def find_player(who: str = "--play", instead: str = "write a file with -o") -> Player:
    """Return the preferred player.

    Args:
        who: Who wants to play, for the message.
        instead: What to do where nothing can be installed.

    Raises:
        OutputError: There is none; says what to install.
    """
    players = installed_players()
    if not players:
        raise OutputError(
            f"no player was found (looked for {', '.join(_ARGUMENTS)})",
            who=who,
            fix=f"install pulseaudio-utils, alsa-utils, ffmpeg or sox, or {instead}",
        )
    return players[0]


class Playback:
    """Audio on its way to a player. Starts it with the first samples; `finish` waits until all is heard.

    Args:
        player: Which program.
        instead: What to do where it fails, for the message.
    """

    def __init__(self, player: Player, instead: str = "write a file with -o") -> None:
        self.player = player
        self._instead = instead
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._file: Writer | None = None

    @property
    def collects(self) -> bool:
        """Whether samples go to a file first, which the player gets as a whole."""
        return not self.player.streams

    def write(self, samples: NDArray[np.float32], sample_rate: int) -> None:
        """Hand samples over; blocks while the player has enough.

        Args:
            samples: float32 of shape (n,).
            sample_rate: Hz, always the same.

        Raises:
            OutputError: The player failed.
        """
        import numpy as np

        if self.collects:
            self._collect(samples, sample_rate)
            return
        if self._process is None:
            self._start(self.player.command(sample_rate), feed=True)
        assert self._process is not None
        assert self._process.stdin is not None
        data = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError:
            self._fail()

    def complete_file(self) -> None:
        """Close the file that the samples were collected in, if there is one."""
        if self._file is not None:
            self._file.close()

    def finish(self) -> None:
        """Wait until the player has played everything.

        Raises:
            OutputError: The player failed.
        """
        self.complete_file()
        if self._file is not None and self._folder is not None:
            self._file = None
            self._start(self.player.command(_whole_file(self._folder)), feed=False)
        if self._process is not None:
            with contextlib.suppress(OSError):  # it has ended already; its exit code says how
                if self._process.stdin is not None:
                    self._process.stdin.close()
            if self._process.wait() != 0:
                self._fail()
        self.stop()

    def stop(self) -> None:
        """End the player now, if it still runs, and clean up."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(_PATIENCE_S)
                except subprocess.TimeoutExpired:
                    self._process.kill()
            with contextlib.suppress(OSError):
                if self._process.stdin is not None:
                    self._process.stdin.close()
            self._process.wait()
            self._process = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None
        if self._file is not None:
            self._file.abort()
            self._file = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _start(self, command: list[str], *, feed: bool) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a program from the list above
                command,
                stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C ends it through `stop`, after the file was finished
            )
        except OSError as error:
            self.stop()
            raise self._error(str(error)) from error

    def _collect(self, samples: NDArray[np.float32], sample_rate: int) -> None:
        from realtts.audio import open_writer

        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="realtts-")
            self._file = open_writer(_whole_file(self._folder), sample_rate, live=True)
        assert self._file is not None
        self._file.write(samples)

    def _fail(self) -> None:
        assert self._process is not None
        assert self._errors is not None
        code = self._process.wait()
        self._errors.seek(0)
        output = self._errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        self.stop()
        raise self._error(f"it ended with code {code}" + (f" ({output[-1]})" if output else ""))

    def _error(self, what: str) -> OutputError:
        return OutputError(what, who=f"player {self.player.name}", fix=f"check the sound device, or {self._instead}")


def play(samples: NDArray[np.float32], sample_rate: int) -> None:
    """Play audio, and return when all of it was heard; an interrupt ends the player.

    Args:
        samples: float32 of shape (n,).
        sample_rate: Hz.

    Raises:
        OutputError: There is no player, or it failed.
    """
    instead = "save the speech to a file"
    playback = Playback(find_player("play", instead), instead)
    try:
        # Not all at once: a player that failed is noticed at the next piece.
        for start in range(0, len(samples), sample_rate):
            playback.write(samples[start : start + sample_rate], sample_rate)
        playback.finish()
    finally:
        playback.stop()


def _whole_file(folder: tempfile.TemporaryDirectory[str]) -> Path:
    return Path(folder.name) / "speech.wav"
