"""What one stream of T3 is to speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.accel.sampling import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts_chatterbox.conditionals import Conditionals

__all__ = ["SILENCE", "START", "STOP", "Utterance", "heard", "silent"]

START, STOP = 6561, 6562
"""Speech tokens that begin and end an utterance; what lies below is sound."""

SILENCE = (4299, 4299, 4299)
"""What Turbo's speech ends with."""


@dataclass(frozen=True)
class Utterance:
    """What one stream is to speak.

    Attributes:
        ids: Text tokens, begin and end included where the model has them.
        voice: Who speaks.
        exaggeration: How expressively; Turbo does not look at it.
        params: How tokens are drawn; a ``guidance`` of 0 needs no second row.
        seed: Of the noise.
        most: The most tokens.
        forced: Exactly ``most`` tokens are drawn, and nothing but sound, whatever the alignment says: for benchmarks.
    """

    ids: tuple[int, ...]
    voice: Conditionals
    exaggeration: float
    params: SamplingParams
    seed: int
    most: int
    forced: bool = False


def silent(utterance: Utterance) -> Utterance:
    """What a stream does that no utterance is left for."""
    return Utterance(utterance.ids, utterance.voice, 0.5, SamplingParams(greedy=True), seed=0, most=1)


def heard(drawn: Sequence[int]) -> list[int]:
    """What is spoken of the tokens that were drawn: up to the end, without what is no sound, as upstream drops it."""
    tokens = drawn[: drawn.index(STOP)] if STOP in drawn else drawn
    return [token for token in tokens if token < START]
