"""AAC, in M4A files and as a bare stream, written by PyAV or ffmpeg: libsndfile knows neither."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from realtts.errors import OutputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realtts.audio.sink import Sink

__all__ = ["AacFile", "check_aac", "open_aac"]

_CONTAINERS = {"M4A": "ipod", "AAC": "adts"}
"""ffmpeg's names of the containers, by those of `realtts.audio.formats`."""

_FRAGMENTED = "frag_keyframe+empty_moov+default_base_moof"
"""An M4A file has its index at the end, or one per fragment where nobody can go back to write it."""

_PATIENCE_S = 60.0


class AacFile:
    """A file of AAC that is being written."""

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append samples of shape (n,) in [-1, 1]."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what is left, and finish the file."""
        raise NotImplementedError

    def drop(self) -> None:
        """Let go of everything without finishing the file; may follow `close`."""
        raise NotImplementedError


def check_aac(who: str) -> None:
    """Check that there is somebody who can write AAC.

    Raises:
        OutputError: There is not.
    """
    if importlib.util.find_spec("av") is None and shutil.which("ffmpeg") is None:
        raise _error(
            "AAC is written by PyAV or ffmpeg, and neither is installed",
            who,
            "pip install av, or install ffmpeg, or choose a format that needs neither: wav, flac, ogg, opus, mp3",
        )


def open_aac(sink: Sink, container: str, sample_rate: int, *, who: str) -> AacFile:
    """Begin a file of AAC.

    Args:
        sink: Where the bytes go.
        container: ``"M4A"`` or ``"AAC"``.
        sample_rate: Hz, one that AAC has.
        who: The target, for messages.

    Raises:
        OutputError: Nobody here can write it.
    """
    check_aac(who)
    # Not more than an encoder takes at a low rate, and plenty for one voice at a high one.
    bit_rate = min(128_000, 4 * sample_rate)
    name = _CONTAINERS[container]
    if importlib.util.find_spec("av") is not None:
        try:
            return _ByPyav(sink, name, sample_rate, bit_rate, who)
        except Exception as error:  # of many kinds: an installation without the encoder, or one that is damaged
            if shutil.which("ffmpeg") is None:
                raise _error(
                    f"PyAV cannot write AAC ({error})", who, "reinstall it: pip install --force-reinstall av"
                ) from error
    return _ByFfmpeg(sink, name, sample_rate, bit_rate, who)


class _ByPyav(AacFile):
    """AAC from PyAV, handed on as it comes."""

    def __init__(self, sink: Sink, container: str, sample_rate: int, bit_rate: int, who: str) -> None:
        self._av = importlib.import_module("av")
        self._rate = sample_rate
        self._who = who
        self._position = 0
        options = {"movflags": _FRAGMENTED} if sink.live and container == "ipod" else {}
        target = _Sequential(sink) if sink.live else _Seekable(sink)
        self._container: Any = self._av.open(target, "w", format=container, options=options)
        self._stream: Any = self._container.add_stream("aac", rate=sample_rate, layout="mono")
        self._stream.bit_rate = bit_rate

    def write(self, samples: NDArray[np.float32]) -> None:
        if not len(samples):
            return
        frame = self._av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = self._rate, self._position
        self._position += len(samples)
        self._mux(frame)

    def close(self) -> None:
        self._mux(None)
        self._container.close()
        self._container = None

    def drop(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(Exception):  # it writes its index even now, perhaps on a full disk
                container.close()

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except Exception as error:
            raise _error(f"AAC cannot be encoded ({error})", self._who, "choose another format, such as mp3") from error


class _Sequential:
    """A sink as PyAV wants it; nothing of it but writing, so that PyAV neither goes back nor closes it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: bytes) -> int:
        return self._sink.write(bytes(data))


class _Seekable(_Sequential):
    """A sink in which PyAV may go back."""

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._sink.seek(offset, whence)

    def tell(self) -> int:
        return self._sink.tell()


class _ByFfmpeg(AacFile):
    """AAC from the program ffmpeg, which writes a file of its own: handed on when that is finished."""

    def __init__(self, sink: Sink, container: str, sample_rate: int, bit_rate: int, who: str) -> None:
        self._sink = sink
        self._who = who
        self._folder = tempfile.TemporaryDirectory(prefix="realtts-")
        self._path = Path(self._folder.name, "audio")
        self._messages: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by drop
        command = [
            shutil.which("ffmpeg") or "ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(sample_rate), "-ac", "1",
            "-i", "pipe:0", "-c:a", "aac", "-b:a", str(bit_rate), "-f", container, "-y", str(self._path),
        ]  # fmt: skip
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._messages
            )
        except OSError as error:
            self._messages.close()
            self._folder.cleanup()
            raise self._failed(str(error)) from error

    def write(self, samples: NDArray[np.float32]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(samples.astype("<f4").tobytes())
        except OSError as error:
            raise self._failed(self._last_message() or str(error)) from error

    def close(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            code = self._process.wait(_PATIENCE_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._failed(self._last_message() or str(error)) from error
        if code != 0:
            raise self._failed(self._last_message() or f"it ended with code {code}")
        with self._path.open("rb") as file:
            while block := file.read(1 << 20):
                self._sink.write(block)

    def drop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.wait()
        self._messages.close()
        self._folder.cleanup()

    def _last_message(self) -> str:
        if not self._messages.closed:
            self._process.wait(_PATIENCE_S)
            self._messages.seek(0)
            lines = self._messages.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def _failed(self, what: str) -> OutputError:
        return _error(f"ffmpeg failed ({what})", self._who, "pip install av, or choose another format, such as mp3")


def _error(what: str, who: str, fix: str) -> OutputError:
    return OutputError(what, who=who, fix=fix)
