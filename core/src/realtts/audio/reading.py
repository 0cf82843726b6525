"""Audio files read for cloning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import soundfile

from realtts.audio.containers import read_by_others
from realtts.errors import VoiceNotFound, VoiceUnreadable, VoiceUnsuitable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read"]

_BLOCK = 1 << 16
_FORMATS_FIX = "pass a WAV, FLAC, OGG or MP3 file, or for other formats install PyAV (pip install av) or ffmpeg"
_UNKNOWN_FORMAT = 1  # libsndfile's number for it


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
        VoiceUnsuitable: Longer than ``max_seconds``.
    """
    place = Path(path)
    who = str(place)
    _check_place(place, who)
    try:
        with place.open("rb") as file:
            missing = _missing_bytes(file)
            file.seek(0)
            with soundfile.SoundFile(file) as audio:
                samples = _read_all(audio, max_seconds, who)
                rate = int(audio.samplerate)
                expected = int(audio.frames)
    except VoiceUnsuitable:
        raise
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        unknown = getattr(error, "code", None) == _UNKNOWN_FORMAT
        decoded = read_by_others(place, max_seconds=max_seconds) if unknown else None
        if decoded is not None:
            if len(decoded[0]) > max_seconds * decoded[1]:
                raise _too_long(max_seconds, who) from error
            return decoded
        raise VoiceUnreadable(f"the file cannot be read as audio ({error})", who=who, fix=_FORMATS_FIX) from error
    # An MP3 header only estimates the length, so a little less is no sign of damage.
    if missing > 1 or len(samples) < 0.98 * expected:
        raise VoiceUnreadable("the file is cut short", who=who, fix="copy or download it again")
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


def _read_all(audio: soundfile.SoundFile, max_seconds: float, who: str) -> NDArray[np.float32]:
    """Read all frames, each averaged over its channels."""
    if audio.frames > 2**48:  # a FLAC file that was written to a pipe; libsndfile fails to read on
        raise ValueError("its header does not say how long it is")
    seconds = audio.frames / audio.samplerate
    if seconds > max_seconds:
        raise _too_long(max_seconds, who, f": it has {seconds:.1f} s")
    # In blocks, so that many channels take no more memory than one.
    parts = []
    while len(block := audio.read(_BLOCK, dtype="float32", always_2d=True)):
        parts.append(block.mean(axis=1, dtype=np.float32))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _too_long(most: float, who: str, length: str = "") -> VoiceUnsuitable:
    return VoiceUnsuitable(
        f"the recording is longer than {most:g} s{length}", who=who, fix=f"cut it to at most {most:g} s"
    )


def _missing_bytes(file: IO[bytes]) -> int:
    """Return how much of a WAV file's data was cut off; libsndfile reads such a file without complaint.

    0 for other formats, and for the lengths 0 and 0x7FFFFFFF and up, which programs that write to pipes leave
    in the header.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(12)
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        return 0
    at = 12
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            return 0 if length >= 0x7FFFFF00 else max(0, at + 8 + length - size)
        at += 8 + length + length % 2
    return 0
