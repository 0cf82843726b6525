"""What one stream of the talker is to speak."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from realtts.accel.sampling import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["DEFAULTS", "LEAST", "MOST", "Utterance", "first_params", "other_params", "params_of", "silent"]

DEFAULTS: Mapping[str, Any] = {
    "do_sample": True, "temperature": 0.9, "top_k": 50, "top_p": 1.0, "repetition_penalty": 1.05,
    "subtalker_dosample": True, "subtalker_temperature": 0.9, "subtalker_top_k": 50, "subtalker_top_p": 1.0,
}  # fmt: skip
"""What upstream takes where neither the caller nor ``generation_config.json`` says something."""

LEAST = 2
"""Upstream's ``min_new_tokens``: frames before the end may come."""

MOST = 8191
"""Frames that upstream's checkpoints allow: 8192 tokens, of which the last never becomes a frame."""


def params_of(chosen: Mapping[str, Any]) -> tuple[SamplingParams, SamplingParams]:
    """How the first code of a frame is drawn, and how the others, of parameters by upstream's names."""
    talker = SamplingParams(
        temperature=chosen["temperature"], top_k=chosen["top_k"], top_p=chosen["top_p"],
        repetition_penalty=chosen["repetition_penalty"], min_new_tokens=LEAST, greedy=not chosen["do_sample"],
    )  # fmt: skip
    predictor = SamplingParams(
        temperature=chosen["subtalker_temperature"], top_k=chosen["subtalker_top_k"], top_p=chosen["subtalker_top_p"],
        greedy=not chosen["subtalker_dosample"],
    )  # fmt: skip
    return talker, predictor


_TALKER, _PREDICTOR = params_of(DEFAULTS)


@dataclass(frozen=True)
class Utterance:
    """What one stream is to speak. How it speaks follows from what is given.

    Attributes:
        role: Text tokens before the text, upstream's first three.
        text: Text tokens of the text alone, at least one.
        language: Id of the language or dialect in the talker's vocabulary; None: the model finds out.
        speaker: Id of a built-in speaker in the talker's vocabulary.
        voice: float32 (width,): a speaker embedding, to clone.
        reference: Text tokens of the reference, with ``codes``.
        codes: int64 (frames, 16): the reference's codes, with ``reference``.
        instruct: Text tokens of the instruction, role and end included.
        non_streaming: Whether the whole text stands before the first frame.
        talker: How the first code of a frame is drawn.
        predictor: How the other fifteen are drawn; ``repetition_penalty`` has no effect.
        seed: Of the noise of both.
        most: The most frames.
        forced: Exactly ``most`` frames are drawn: for benchmarks.
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
    most: int = 2048
    forced: bool = False


def silent(utterance: Utterance) -> Utterance:
    """What a stream does that no utterance is left for."""
    greedy = SamplingParams(greedy=True)
    return replace(utterance, talker=greedy, predictor=greedy, seed=0, most=1, forced=False)


def first_params(utterance: Utterance) -> SamplingParams:
    """How the talker draws."""
    least = utterance.most + 1 if utterance.forced else LEAST
    return replace(_effective(utterance.talker), min_new_tokens=least)


def other_params(utterance: Utterance) -> SamplingParams:
    """How the code predictor draws."""
    return _effective(utterance.predictor)


def _effective(params: SamplingParams) -> SamplingParams:
    """Without what has no effect on the most probable code, as upstream leaves it out."""
    if not params.greedy:
        return params
    return SamplingParams(greedy=True, repetition_penalty=params.repetition_penalty)
