"""What one row of the talker is to speak, and how its codes are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from realtts.accel.sampling import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["DEFAULTS", "MAX_FRAMES", "MIN_FRAMES", "Utterance", "params_of", "predictor_params", "talker_params"]

DEFAULTS: Mapping[str, Any] = {
    "do_sample": True, "temperature": 0.9, "top_k": 50, "top_p": 1.0, "repetition_penalty": 1.05,
    "subtalker_dosample": True, "subtalker_temperature": 0.9, "subtalker_top_k": 50, "subtalker_top_p": 1.0,
}  # fmt: skip
"""Upstream's values for what neither the caller nor ``generation_config.json`` sets."""

MIN_FRAMES = 2
"""Upstream's ``min_new_tokens``: frames before the end of speech may be drawn."""

MAX_FRAMES = 8191
"""Frames that upstream's checkpoints allow: 8192 tokens, of which the last never becomes a frame."""


def params_of(chosen: Mapping[str, Any]) -> tuple[SamplingParams, SamplingParams]:
    """Return the sampling of a frame's first code, and of the others, from parameters under upstream's names."""
    talker = SamplingParams(
        temperature=chosen["temperature"], top_k=chosen["top_k"], top_p=chosen["top_p"],
        repetition_penalty=chosen["repetition_penalty"], min_new_tokens=MIN_FRAMES, greedy=not chosen["do_sample"],
    )  # fmt: skip
    predictor = SamplingParams(
        temperature=chosen["subtalker_temperature"], top_k=chosen["subtalker_top_k"], top_p=chosen["subtalker_top_p"],
        greedy=not chosen["subtalker_dosample"],
    )  # fmt: skip
    return talker, predictor


_TALKER, _PREDICTOR = params_of(DEFAULTS)


@dataclass(frozen=True)
class Utterance:
    """The input of one row. Which of the three ways it speaks in follows from what is set.

    Attributes:
        role: Text tokens before the text, upstream's first three.
        text: Text tokens of the text alone, at least one.
        language: Id of the language or dialect in the talker's vocabulary; None lets the model choose.
        speaker: Id of a built-in speaker in the talker's vocabulary.
        voice: Speaker embedding to clone, float32 (hidden,).
        reference: Text tokens of the reference recording, together with ``codes``.
        codes: Codes of the reference recording, int64 (frames, 16), together with ``reference``.
        instruct: Text tokens of the instruction, role and end included.
        non_streaming: Whether the whole text stands before the first frame.
        talker: Sampling of a frame's first code.
        predictor: Sampling of the other fifteen; ``repetition_penalty`` has no effect.
        seed: Seed of the noise of both.
        max_frames: Most frames to draw.
        forced: Draw exactly ``max_frames`` frames; for benchmarks.
    """

    role: tuple[int, ...]
    text: tuple[int, ...]
    language: int | None = None
    speaker: int | None = None
    voice: Tensor | None = None
    reference: tuple[int, ...] = ()
    codes: Tensor | None = None
    instruct: tuple[int, ...] = ()
    non_streaming: bool = True
    talker: SamplingParams = _TALKER
    predictor: SamplingParams = _PREDICTOR
    seed: int = 0
    max_frames: int = 2048
    forced: bool = False


def talker_params(utterance: Utterance) -> SamplingParams:
    """Return the sampling of an utterance's first codes; a forced one cannot draw the end."""
    min_frames = utterance.max_frames + 1 if utterance.forced else MIN_FRAMES
    return replace(_effective(utterance.talker), min_new_tokens=min_frames)


def predictor_params(utterance: Utterance) -> SamplingParams:
    """Return the sampling of an utterance's other codes."""
    return _effective(utterance.predictor)


def _effective(params: SamplingParams) -> SamplingParams:
    """Drop what has no effect on the most probable code, as upstream does."""
    if not params.greedy:
        return params
    return SamplingParams(greedy=True, repetition_penalty=params.repetition_penalty)
