"""Audio in formats that libsndfile does not know (M4A, WebM, video), read by PyAV or ffmpeg if there is one."""

from __future__ import annotations

import importlib
import importlib.util
import math
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import soundfile

from realtts.audio.mixing import Mix

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["read_by_others"]

_ONLY_FILES = "file"
"""A playlist is a file too, and might name addresses: nothing but files is opened."""

_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,matroska,mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,ogg,oma,rm,"
    "tak,truehd,tta,voc,w64,wav,webm,wv,xwma"
)
"""ffmpeg's names of formats that hold sound themselves: none that names other files, which a stranger's would open."""

_PATIENCE_S = 60.0


class Decoded(NamedTuple):
    """Sound of a file.

    Attributes:
        samples: float32 of shape (n,), the mean of all channels.
        rate: Hz.
        cancels: Whether the channels are in opposite phase, so that their mean is next to nothing.
    """

    samples: NDArray[np.float32]
    rate: int
    cancels: bool


def read_by_others(path: Path, *, max_seconds: float) -> Decoded | None:
    """Read the first audio of a file as mono.

    Args:
        path: The file, which exists.
        max_seconds: Little more than this is decoded, however long the file is.

    Returns:
        The sound; None: nobody here can read it.
    """
    for reader in (_by_pyav, _by_ffmpeg):
        audio = reader(path, max_seconds + 1.0)
        if audio is not None and len(audio.samples):
            return audio
    return None


def _by_pyav(path: Path, seconds: float) -> Decoded | None:
    if importlib.util.find_spec("av") is None:
        return None
    av = importlib.import_module("av")
    try:
        options = {"protocol_whitelist": _ONLY_FILES, "format_whitelist": _CONTAINERS}
        with av.open(f"file:{path}", options=options) as container:
            rate = int(container.streams.audio[0].rate)
            if rate < 1:
                return None
            mix, frames = Mix(), math.ceil(seconds * rate)
            for block in _decoded(av, container):
                frames -= mix.add(block)
                if frames <= 0:
                    break
    except Exception:  # of many kinds; whatever it is, another may know the format
        return None
    return Decoded(mix.samples, rate, mix.cancels)


def _decoded(av: Any, container: Any) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of samples, (n, channels)."""
    planes = av.AudioResampler(format="fltp")  # keeps rate and channels
    for frame in container.decode(audio=0):
        for same in planes.resample(frame):
            yield same.to_ndarray().T  # (channels, n)


def _by_ffmpeg(path: Path, seconds: float) -> Decoded | None:
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="realtts-") as folder:
        wave = Path(folder, "audio.wav")
        command = [
            program, "-nostdin", "-v", "error", "-protocol_whitelist", _ONLY_FILES, "-format_whitelist",
            _CONTAINERS, "-t", f"{seconds:g}", "-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32le", str(wave),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE_S)  # noqa: S603 - our own words
            samples, rate = soundfile.read(wave, dtype="float32", always_2d=True)
        except (OSError, subprocess.SubprocessError, soundfile.SoundFileError):
            return None
    mix = Mix()
    mix.add(samples)
    return Decoded(mix.samples, int(rate), mix.cancels)
