"""One row of the language model: a prompt, and how its tokens are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from realtts.accel.sampling import SamplingParams
from realtts.kit.retries import retry_seed, wrong_length
from realtts_vieneu import spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.types import FinishReason

__all__ = ["DEFAULTS", "LEAST", "SpeechIds", "Utterance", "again", "fault_of", "shared"]

DEFAULTS = SamplingParams(temperature=1.0, top_k=50)
"""Upstream's."""

LEAST = 50
"""Upstream's ``min_new_tokens``: a second, even for a single word."""


@dataclass(frozen=True)
class SpeechIds:
    """Tokens of the vocabulary that are speech.

    Attributes:
        codes: Id of ``<|speech_N|>`` for each N, as many as the codec has codes.
        end: Id of ``<|SPEECH_GENERATION_END|>``.
    """

    codes: tuple[int, ...]
    end: int


@dataclass(frozen=True)
class Utterance:
    """What one row speaks, a sentence as a rule.

    Attributes:
        ids: The whole prompt as tokens: wrapper, text and the reference's codes; at least one.
        most: The most tokens, the end not counted.
        prefix: Number of first tokens that other sentences of the request share; fewer than all. They are read once.
            Count tokens, not characters of the text: the last characters may be joined to what follows in one token.
        params: How tokens are drawn; ``min_new_tokens`` is ``least`` here.
        seed: Of the noise.
        least: Tokens before which the end cannot be drawn.
        forced: Exactly ``most`` tokens are drawn, and nothing but codes: for benchmarks.
        text: What is said; the length of the speech is judged by it.
        retry: Whether it may be drawn once more, with another seed.
    """

    ids: tuple[int, ...]
    most: int
    prefix: int = 0
    params: SamplingParams = DEFAULTS
    seed: int = 0
    least: int = LEAST
    forced: bool = False
    text: str = ""
    retry: bool = False


def shared(ids: Sequence[int], opening: Sequence[int]) -> int:
    """Return how many first tokens of a prompt are those of an opening, for `Utterance.prefix`.

    Args:
        ids: The whole prompt.
        opening: Tokens of wrapper, emotion and the reference's text without what follows.
    """
    pairs = enumerate(zip(ids, opening, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(ids), len(opening)))


def fault_of(utterance: Utterance, seconds: float, *, stopped: bool) -> str:
    """Return what is wrong with the length of the speech, so that it should be drawn again; empty if nothing is.

    Args:
        utterance: As it was drawn.
        seconds: Of its speech.
        stopped: Whether the model ended it.
    """
    if not utterance.retry:
        return ""
    finish: FinishReason = "stop" if stopped else "length"
    return wrong_length(utterance.text, seconds, finish, least=spec.min_seconds_per_char)


def again(utterance: Utterance) -> Utterance:
    """Return an utterance's second and last try."""
    return replace(utterance, seed=retry_seed(utterance.seed), retry=False)
