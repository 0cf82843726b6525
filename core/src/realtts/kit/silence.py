"""Silence at the ends of what a graph speaks, which is often longer than a pause should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["leading_silence", "trailing_silence"]

_SILENCE = 10 ** (-60 / 20)


def leading_silence(samples: NDArray[np.float32], keep: int) -> int:
    """Return how many samples of silence to take off the beginning.

    Args:
        samples: float32 of shape (n,).
        keep: Samples of it that stay.
    """
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    return max(0, int(loud[0]) - keep) if loud.size else 0


def trailing_silence(samples: NDArray[np.float32], keep: int) -> int:
    """Return how many samples of silence to take off the end; of silence alone, all but ``keep``. As above."""
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    silent = len(samples) - int(loud[-1]) - 1 if loud.size else len(samples)
    return max(0, silent - keep)
