"""Audio files read for cloning."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import soundfile

from realtts.audio.containers import read_by_others
from realtts.audio.extent import extent_of
from realtts.audio.mixing import OPPOSITE, OPPOSITE_FIX, Mix
from realtts.documents import MALFORMED
from realtts.errors import VoiceNotFound, VoiceUnreadable, VoiceUnsuitable

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["read"]

_BLOCK = 1 << 16
_FORMATS_FIX = "pass a WAV, FLAC, OGG or MP3 file, or for other formats install PyAV (pip install av) or ffmpeg"
_UNKNOWN_FORMAT = 1  # libsndfile's number for it
_MOST_FRAMES = 2**48  # more stand for an unknown length, in a FLAC file that was written to a pipe


class _Forwards(soundfile.SoundFile):  # type: ignore[misc]  # soundfile is not typed
    """A file that is read from beginning to end: soundfile seeks after every block, which fails without a length."""

    def seekable(self) -> bool:
        """Tell soundfile not to seek."""
        return False


class _Overlaid:
    """An open file with other bytes at one place: libsndfile reads nothing of a file whose header has no length.

    Args:
        file: The file.
        at: Where the other bytes stand.
        content: These bytes.
    """

    def __init__(self, file: IO[bytes], at: int, content: bytes) -> None:
        self._file, self._at, self._content = file, at, content
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int = -1) -> bytes:
        """Read as from a file."""
        begin = self._file.tell()
        block = bytearray(self._file.read(count))
        for at, byte in enumerate(self._content, self._at - begin):
            if 0 <= at < len(block):
                block[at] = byte
        return bytes(block)


def read(path: str | os.PathLike[str], *, max_seconds: float) -> tuple[NDArray[np.float32], int]:
    """Read an audio file as mono.

    Args:
        path: WAV, FLAC, OGG, MP3 or anything else that libsndfile reads; other formats, such as M4A and WebM, where
            PyAV or ffmpeg is present.
        max_seconds: A longer file is refused; one that libsndfile reads from its header, before it is read.

    Returns:
        float32 of shape (n,), the mean of all channels, and the sample rate in Hz.

    Raises:
        VoiceNotFound: No such file.
        VoiceUnreadable: A folder, empty, not audio, or cut short.
        VoiceUnsuitable: Longer than ``max_seconds``, or its channels cancel each other out.
    """
    place = Path(path)
    who = str(place)
    _check_place(place, who)
    try:
        with place.open("rb") as file:
            extent = extent_of(file)
            if extent is not None and extent.is_cut:
                raise _cut_short(who)
            file.seek(0)
            filled_in = extent.filled_in if extent is not None else None
            samples, rate = _by_libsndfile(file, filled_in, max_seconds, who)
    except (VoiceUnreadable, VoiceUnsuitable):
        raise
    except (soundfile.SoundFileError, *MALFORMED) as error:
        unknown = getattr(error, "code", None) == _UNKNOWN_FORMAT
        decoded = read_by_others(place, max_seconds=max_seconds) if unknown else None
        if decoded is None:
            raise VoiceUnreadable(
                f"the file cannot be read as audio ({_reason(error)})", who=who, fix=_FORMATS_FIX
            ) from error
        samples, rate = decoded.samples, decoded.rate
        _check_length(len(samples) / rate, max_seconds, who)
        _check_phase(decoded.cancels, who)
    if not len(samples):
        raise VoiceUnreadable("the file holds no audio", who=who, fix=_FORMATS_FIX)
    return samples, rate


def _check_place(place: Path, who: str) -> None:
    try:
        if place.is_dir():
            raise VoiceUnreadable("it is a folder", who=who, fix="name the file in it")
        if not place.exists():
            raise VoiceNotFound("no such file", who=who, fix=f"check the path (working folder: {Path.cwd()})")
        if not place.is_file():
            raise VoiceUnreadable("it is not a regular file", who=who, fix=_FORMATS_FIX)
        size = place.stat().st_size
    except (OSError, ValueError) as error:
        if isinstance(error, (VoiceUnreadable, VoiceNotFound)):
            raise
        raise VoiceNotFound(f"no such file ({error})", who=repr(who[:100]), fix="check the path") from error
    if not size:
        raise VoiceUnreadable("the file is empty", who=who, fix=_FORMATS_FIX)


def _by_libsndfile(
    file: IO[bytes], filled_in: tuple[int, bytes] | None, max_seconds: float, who: str
) -> tuple[NDArray[np.float32], int]:
    """Read an open file as mono, float32 of shape (n,), with its rate in Hz."""
    with _Forwards(file if filled_in is None else _Overlaid(file, *filled_in)) as audio:
        if not (unknown := audio.frames > _MOST_FRAMES):
            _check_length(audio.frames / audio.samplerate, max_seconds, who)
        samples = _read_all(audio, max_seconds, who)
        # An MP3 header may only estimate the length, so a little less is no sign of damage.
        if not unknown and len(samples) < (0.98 * audio.frames if audio.format == "MP3" else audio.frames):
            raise _cut_short(who)
        return samples, int(audio.samplerate)


def _read_all(audio: soundfile.SoundFile, max_seconds: float, who: str) -> NDArray[np.float32]:
    """Read all frames, each averaged over its channels."""
    # In blocks, so that many channels take no more memory than one.
    mix, read = Mix(), 0
    try:
        while count := mix.add(audio.read(_BLOCK, dtype="float32", always_2d=True)):
            read += count
            _check_length(read / audio.samplerate, max_seconds, who)
    except soundfile.SoundFileError as error:
        raise VoiceUnreadable(
            f"the file is damaged or cut short ({_reason(error)})", who=who, fix="copy or download it again"
        ) from error
    _check_phase(mix.cancels, who)
    return mix.samples


def _check_phase(cancels: bool, who: str) -> None:
    if cancels:
        raise VoiceUnsuitable(OPPOSITE, who=who, fix=OPPOSITE_FIX)


def _cut_short(who: str) -> VoiceUnreadable:
    return VoiceUnreadable("the file is cut short", who=who, fix="copy or download it again")


def _check_length(seconds: float, most: float, who: str) -> None:
    if seconds > most:
        raise VoiceUnsuitable(
            f"the recording is longer than {most:g} s: it has {seconds:.1f} s", who=who,
            fix=f"cut it to at most {most:g} s",
        )  # fmt: skip


def _reason(error: Exception) -> str:
    """Return what libsndfile says, without the file that it names before it, which may be an open one."""
    return str(getattr(error, "error_string", error)).rstrip(".")
