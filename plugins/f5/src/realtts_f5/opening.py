"""Where a stream's first chunk ends: early, because the recording's frames are computed with every chunk."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from realtts_f5.durations import SHORT_BYTES, duration, pace
from realtts_f5.solver import total_frames
from realtts_f5.text import opened, symbols

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts_f5.voices import Reference

__all__ = ["begun"]

_SHARE = 0.3
"""Share of the whole's work that the first chunk shall take at most."""

_ALIKE = 4096
"""Frames at which attention takes as much as the products do: ``dim * (4 + 2 * ff_mult) / 2`` of F5-TTS's base."""

_BREATH = 16, 3.0, 2.0
"""Least bytes of the first chunk; seconds from which a clause is cut; seconds at which."""

_WORDS = SHORT_BYTES, 1.5, 1.0
"""The same where the former makes too long a beginning. A shorter text would be spoken at another pace."""

_CLAUSE = SHORT_BYTES, math.inf, math.inf
"""The same, never cut at a space."""


def begun(reference: Reference, texts: Sequence[str], speed: float) -> list[str]:
    """Split the first chunk at a clause or, in a long one, at a space.

    Args:
        reference: The recording.
        texts: Of the chunks.
        speed: Of the request.
    """
    breath, words, clause = (_split_first(reference, texts, speed, limits) for limits in (_BREATH, _WORDS, _CLAUSE))
    for each in (breath, words):
        if _share(reference, each, speed) <= _SHARE:
            return each
    # In so short a text words are not torn apart for the little that it gains.
    return min(breath, clause, key=lambda each: _share(reference, each, speed))


def _split_first(
    reference: Reference, texts: Sequence[str], speed: float, limits: tuple[int, float, float]
) -> list[str]:
    """Split the first chunk within limits such as `_BREATH`."""
    least, longest, target = limits
    rate = pace(reference) * speed
    return [*opened(texts[0], least=least, longest=rate * longest, target=rate * target), *texts[1:]]


def _share(reference: Reference, texts: Sequence[str], speed: float) -> float:
    """Compute the first chunk's share of the work: products, and attention that grows with the square of the frames."""
    costs = []
    for text in texts:
        length = reference.hops + duration(reference, text, speed)
        frames = total_frames(reference.frames, len(symbols(reference.text + text)), length)
        costs.append(frames * (1 + frames / _ALIKE))
    return costs[0] / sum(costs)
