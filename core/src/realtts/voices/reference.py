"""Reference recordings: from a file, from samples or ready made, brought into one form and checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from realtts.audio.level import clipped_fraction, is_silent
from realtts.audio.mixing import OPPOSITE, OPPOSITE_FIX, Mix
from realtts.audio.reading import read
from realtts.audio.speech_band import BAND, has_speech, other_sound_hz
from realtts.contract.spec import HIGHEST_RATE, LOWEST_RATE
from realtts.contract.types import Voice
from realtts.errors import VoiceUnsuitable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Source", "check", "load"]

Source: TypeAlias = Union[str, "os.PathLike[str]", tuple[Any, int], Voice]
"""A path, a tuple of samples and sample rate in Hz, or a `Voice`."""

_SILENT_DBFS = -60.0
_CLIPPED = 0.01

_MOST_CHANNELS = 32


def load(voice: Source, *, text: str | None = None, seconds: tuple[float, float], who: str) -> Voice:
    """Read and check a reference recording.

    Args:
        voice: Path of an audio file; a tuple of samples and sample rate; or a `Voice`. Samples may be
            floating point in [-1, 1] or whole numbers (int16, int32, uint8, which are scaled), of shape (n,),
            (n, channels) or (channels, n); channels are averaged.
        text: The words spoken in it; None keeps those of a `Voice`.
        seconds: Shortest and longest recording that is allowed.
        who: Provider or command concerned, for messages.

    Raises:
        VoiceNotFound: No such file.
        VoiceUnreadable: The file is not readable audio.
        VoiceUnsuitable: Samples of a wrong kind, silent, clipped, too short or too long.
    """
    if isinstance(voice, Voice):
        text = voice.text if text is None else text
        loaded = _from_samples(voice.samples, voice.sample_rate, text, voice.name, who)
    elif isinstance(voice, tuple) and len(voice) == 2:
        loaded = _from_samples(voice[0], voice[1], text, "samples", who)
    elif isinstance(voice, (str, os.PathLike)):
        samples, rate = read(voice, max_seconds=seconds[1])
        loaded = _from_samples(samples, rate, text, Path(voice).name, who)
    else:
        raise VoiceUnsuitable(
            f"a voice cannot be a {type(voice).__name__}",
            who=who,
            fix="pass a path, a tuple (samples, sample_rate) or a realtts.Voice",
        )
    check(loaded, seconds, who)
    return loaded


def check(voice: Voice, seconds: tuple[float, float], who: str) -> None:
    """Raise unless a model can learn a voice from the recording.

    Args:
        voice: The recording.
        seconds: Shortest and longest that is allowed.
        who: Provider or command concerned, for messages.

    Raises:
        VoiceUnsuitable: Too short, too long, silent (between 80 Hz and 8 kHz, where speech lies, no
            quarter of a second above -60 dBFS), or clipped (more than 1 % of the samples at full scale).
    """
    shortest, longest = seconds
    if not shortest <= voice.duration <= longest:
        word = "short" if voice.duration < shortest else "long"
        raise VoiceUnsuitable(
            f"the recording {voice.name!r} is too {word}: {voice.duration:.2f} s",
            who=who,
            fix=f"use one of {shortest:g} to {longest:g} s",
        )
    if not has_speech(voice.samples, voice.sample_rate, _SILENT_DBFS):
        raise _without_speech(voice, who)
    clipped = clipped_fraction(voice.samples)
    if clipped > _CLIPPED:
        raise VoiceUnsuitable(
            f"the recording {voice.name!r} is clipped: {clipped:.0%} of its samples are at full scale",
            who=who,
            fix="record again with less gain",
        )


def _without_speech(voice: Voice, who: str) -> VoiceUnsuitable:
    """Return the error for a recording in which there is nothing where speech lies; it says what there is."""
    level = float(voice.samples.mean())
    hertz = other_sound_hz(voice.samples, voice.sample_rate, _SILENT_DBFS)
    if is_silent(voice.samples - level, _SILENT_DBFS) and not is_silent(voice.samples, _SILENT_DBFS):
        what = f"is silent: all its samples lie at {level:.3g}, a constant that nobody hears"
        fix = "check the microphone and its cable, and record again"
    elif hertz is not None:
        what = f"holds no speech: its sound lies at about {hertz:.0f} Hz"
        fix = f"record again; speech lies between {BAND[0]:g} and {BAND[1]:g} Hz"
    else:
        what, fix = "is silent", f"record again, louder than {_SILENT_DBFS:g} dBFS"
    return VoiceUnsuitable(f"the recording {voice.name!r} {what}", who=who, fix=fix)


def _from_samples(samples: Any, sample_rate: Any, text: str | None, name: str, who: str) -> Voice:
    whole = isinstance(sample_rate, (int, np.integer)) and not isinstance(sample_rate, bool)
    if not whole or not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise VoiceUnsuitable(
            f"the sample rate of {name!r} is {sample_rate!r}",
            who=who,
            fix=f"pass a whole number of Hz from {LOWEST_RATE} to {HIGHEST_RATE}",
        )
    mono = _mono(_scaled(_array(samples, name, who), name, who), name, who)
    return Voice(mono, int(sample_rate), text, name)


def _array(samples: Any, name: str, who: str) -> NDArray[Any]:
    try:
        # Tensors on a device or with a gradient refuse to become arrays; so do ragged lists.
        array = np.asarray(samples)
    except (TypeError, ValueError, RuntimeError) as error:
        raise VoiceUnsuitable(
            f"the samples of {name!r} cannot be made an array ({error})",
            who=who,
            fix="pass a numpy array, or tensor.detach().cpu().numpy()",
        ) from error
    return array.astype(array.dtype.newbyteorder("="), copy=False)  # files of other machines are read so


def _scaled(array: NDArray[Any], name: str, who: str) -> NDArray[Any]:
    """Convert samples to floating point in [-1, 1]."""
    if array.dtype.kind == "f":
        _check_range(array, name, who)
        return array
    if array.dtype == np.uint8:  # WAV's 8-bit samples are unsigned, with silence at 128
        return (array.astype(np.float32) - 128) / 128
    if array.dtype in {np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.int32)}:
        return array / -float(np.iinfo(array.dtype).min)
    raise VoiceUnsuitable(
        f"the samples of {name!r} are {array.dtype}", who=who, fix="pass float32 in [-1, 1], or int16"
    )


def _check_range(array: NDArray[Any], name: str, who: str) -> None:
    if not np.isfinite(array).all():
        raise VoiceUnsuitable(f"the samples of {name!r} hold NaN or infinity", who=who, fix="remove them")
    # Recordings go a little over 1 after resampling; 16-bit values cast to float go far over it.
    loudest = np.abs(array).max(initial=0)
    if loudest > 8:
        raise VoiceUnsuitable(
            f"the samples of {name!r} reach {loudest:g}", who=who, fix="divide them so that they lie in [-1, 1]"
        )


def _mono(array: NDArray[Any], name: str, who: str) -> NDArray[np.float32]:
    """Average the channels, whichever axis they are on."""
    if array.ndim == 2 and min(array.shape) <= _MOST_CHANNELS:
        # Recordings have far more samples than channels.
        array = array if array.shape[1] <= array.shape[0] else array.T
        mix = Mix()
        mix.add(array if array.size else np.zeros((0, 1)))
        if mix.cancels:
            raise VoiceUnsuitable(f"of the samples of {name!r}: {OPPOSITE}", who=who, fix=OPPOSITE_FIX)
        array = array.mean(axis=1) if array.size else np.zeros(0)
    if array.ndim != 1:
        raise VoiceUnsuitable(
            f"the samples of {name!r} have the shape {array.shape}",
            who=who,
            fix="pass an array of shape (n,)",
        )
    return np.array(array, np.float32, order="C")  # a copy: the caller may use its buffer again meanwhile
