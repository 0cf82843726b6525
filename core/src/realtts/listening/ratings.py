"""How speech sounds, by networks that are used where they are installed: DistillMOS, DNSMOS, likeness of speakers.

They bring torch or their own weights, and are no part of ``realtts[listen]``; what is missing is named, not an error.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts.exception_text import describe_error

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from realtts.contract.types import Voice

__all__ = ["MEASURES", "Measure", "Rating", "rate"]

_RATE = 16_000
_SHORTEST_S = 0.5


@dataclass(frozen=True)
class Measure:
    """A measure of how speech sounds.

    Attributes:
        name: As it is shown.
        module: What has to be installed.
        distribution: What brings it.
        call: Returns the value, of samples at 16 kHz and of a reference at 16 kHz or None.
        compares: It needs a reference.
    """

    name: str
    module: str
    distribution: str
    call: Callable[[NDArray[np.float32], NDArray[np.float32] | None], float]
    compares: bool = False


@dataclass(frozen=True)
class Rating:
    """A value of a measure.

    Attributes:
        name: Of the measure.
        value: None: there is none.
        why_not: Why there is none.
    """

    name: str
    value: float | None
    why_not: str = ""


def rate(samples: NDArray[np.float32], sample_rate: int, reference: Voice | None = None) -> tuple[Rating, ...]:
    """Rate speech by every measure that applies.

    Args:
        samples: float32 of shape (n,) in [-1, 1].
        sample_rate: Hz.
        reference: The recording that was to be cloned; None: there is none, and likeness is left out.
    """
    from realtts.resample import resample

    heard = samples if sample_rate == _RATE else resample(samples, sample_rate, _RATE)
    like = None if reference is None else reference.at(_RATE)
    return tuple(_rated(measure, heard, like) for measure in MEASURES if like is not None or not measure.compares)


def _rated(measure: Measure, samples: NDArray[np.float32], reference: NDArray[np.float32] | None) -> Rating:
    if importlib.util.find_spec(measure.module) is None:
        return Rating(measure.name, None, f"{measure.distribution} is not installed")
    if len(samples) < _SHORTEST_S * _RATE:
        return Rating(measure.name, None, f"the audio is shorter than {_SHORTEST_S} s")
    try:
        return Rating(measure.name, float(measure.call(samples, reference)))
    except Exception as error:  # whatever a foreign network does, the words were counted
        return Rating(measure.name, None, describe_error(error))


def _distill_mos(samples: NDArray[np.float32], _: NDArray[np.float32] | None) -> float:
    import torch

    with torch.inference_mode():
        return float(_distill_model()(torch.from_numpy(samples.copy())[None]).item())


@functools.cache
def _distill_model() -> Any:
    from realtts.accel.upstream.torchaudio_import import usable_torchaudio

    usable_torchaudio()  # distillmos imports it, and its compiled part often does not fit the torch beside it
    import distillmos

    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights are, into what a caller may read
        model = distillmos.ConvTransformerSQAModel()
    model.eval()
    return model


def _dns_mos(samples: NDArray[np.float32], _: NDArray[np.float32] | None) -> float:
    from speechmos import dnsmos

    peak = max(1.0, float(abs(samples).max()))
    return float(dnsmos.run(samples / peak, _RATE)["ovrl_mos"])


def _likeness(samples: NDArray[np.float32], reference: NDArray[np.float32] | None) -> float:
    import resemblyzer

    encoder = _speaker_encoder()
    said, like = (encoder.embed_utterance(resemblyzer.preprocess_wav(each, source_sr=_RATE)) for each in
                  (samples, reference))  # fmt: skip
    return float((said * like).sum())


@functools.cache
def _speaker_encoder() -> Any:
    import resemblyzer

    return resemblyzer.VoiceEncoder("cpu", verbose=False)


MEASURES = (
    Measure("DistillMOS", "distillmos", "distillmos", _distill_mos),
    Measure("DNSMOS", "speechmos", "speechmos", _dns_mos),
    Measure("speaker similarity", "resemblyzer", "resemblyzer", _likeness, compares=True),
)
"""Every measure: mean opinion scores from 1 to 5, and the cosine of two speakers."""
