"""Channels into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OPPOSITE", "OPPOSITE_FIX", "Mix"]

OPPOSITE = "its channels cancel each other out: one is the other upside down"
"""What is wrong with a recording whose channels are in opposite phase."""

OPPOSITE_FIX = "give one channel alone, or invert one of them"

_LEFT_OVER = 0.02
"""Share of the channels' power that their mean must keep. One speaking channel of 32 leaves 0.031, two that have
nothing to do with each other 0.5."""


class Mix:
    """The mean of channels, block by block, and whether anything of them is left in it."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.float32]] = []
        self._count = 0
        self._mixed = np.zeros(2)  # sum and sum of squares
        self._single = np.zeros((2, 1))  # the same of each channel

    def add(self, block: NDArray[Any]) -> int:
        """Add samples of shape (n, channels), and return n."""
        mean = block.mean(axis=1, dtype=np.float32)
        self._parts.append(mean)
        if block.shape[1] > 1:
            wide = block.astype(np.float64)
            self._count += len(block)
            self._mixed = self._mixed + _sums(mean.astype(np.float64))
            self._single = self._single + _sums(wide)
        return len(block)

    @property
    def samples(self) -> NDArray[np.float32]:
        """All of them, float32 of shape (n,)."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)

    @property
    def cancels(self) -> bool:
        """Whether the channels are loud, and their mean is next to nothing. Constants do not count as loud."""
        if not self._count:
            return False
        power, left = (float(self._variance(sums).mean()) for sums in (self._single, self._mixed))
        return power > 1e-9 and left < _LEFT_OVER * power

    def _variance(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        variance: NDArray[np.float64] = sums[1] / self._count - np.square(sums[0] / self._count)
        return variance


def _sums(wide: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum and the sum of squares over time, (2, ...)."""
    return np.stack([wide.sum(axis=0), np.square(wide).sum(axis=0)])
