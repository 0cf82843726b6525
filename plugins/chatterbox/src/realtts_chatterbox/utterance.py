"""An utterance: the input of one row of T3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.accel.sampling import SamplingParams
    from realtts_chatterbox.conditionals import Conditionals

__all__ = ["SILENCE", "START", "STOP", "Utterance", "heard"]

START, STOP = 6561, 6562
"""Speech tokens that begin and end an utterance; all tokens below them are sound."""

SILENCE = (4299, 4299, 4299)
"""Tokens that end Turbo's speech."""


@dataclass(frozen=True)
class Utterance:
    """The input of one row.

    Attributes:
        ids: Text tokens, begin and end included where the model has them.
        voice: Conditionals of the speaker.
        exaggeration: Strength of the emotion; Turbo ignores it.
        params: Sampling parameters; with a ``guidance`` of 0 there is no second row of the cache.
        seed: Seed of the sampling noise.
        most: Most tokens.
        forced: Draw exactly ``most`` tokens, all of them sound, whatever the alignment says: for benchmarks.
    """

    ids: tuple[int, ...]
    voice: Conditionals
    exaggeration: float
    params: SamplingParams
    seed: int
    most: int
    forced: bool = False


def heard(drawn: Sequence[int]) -> list[int]:
    """Return the tokens that are spoken: those before the end token, without those that are no sound, as upstream."""
    tokens = drawn[: drawn.index(STOP)] if STOP in drawn else drawn
    return [token for token in tokens if token < START]
