"""Where a recording pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["find_pauses", "quietest_place"]

_FRAME_S = 0.02
_SHORTEST_S = 0.1
_BELOW_SPEECH = 0.06
_BELOW_SPEECH_AT_MOST = 0.3
"""A frame is a pause below 6 % of the speech's level, or, over noise, up to 30 % of it."""


def find_pauses(samples: NDArray[np.float32], rate: int) -> list[tuple[float, float]]:
    """Return the pauses of a recording in order, those at its edges included.

    Args:
        samples: float32 of shape (n,).
        rate: Hz.

    Returns:
        Start and end of each in seconds; none is shorter than 0.1 s.
    """
    levels = _levels(samples, rate)
    if not levels.size:
        return []
    speech, noise = np.percentile(levels, (90, 5))
    quiet = levels <= max(_BELOW_SPEECH * speech, min(2 * noise, _BELOW_SPEECH_AT_MOST * speech))
    # Where quiet begins and ends: one more at either edge, so that both always come in pairs.
    changes = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    duration = len(samples) / rate
    pauses = [(float(a * _FRAME_S), min(float(b * _FRAME_S), duration)) for a, b in changes.reshape(-1, 2)]
    return [(start, end) for start, end in pauses if end - start >= _SHORTEST_S - 1e-9]


def quietest_place(samples: NDArray[np.float32], rate: int, *, after: float, before: float) -> float:
    """Return the second in a stretch of a recording where it is quietest.

    Args:
        samples: float32 of shape (n,).
        rate: Hz.
        after: Begin of the stretch in seconds.
        before: Its end.
    """
    levels = _levels(samples, rate)[round(after / _FRAME_S) : round(before / _FRAME_S)]
    return after + (float(levels.argmin()) + 0.5) * _FRAME_S if levels.size else before


def _levels(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return the root mean square of each 20 ms, without the recording's constant."""
    size = max(1, round(_FRAME_S * rate))
    count = len(samples) // size
    frames = np.asarray(samples[: count * size], np.float64).reshape(count, size) - float(
        samples.mean() if count else 0
    )
    levels: NDArray[np.float64] = np.sqrt(np.square(frames).mean(axis=1))
    return levels
