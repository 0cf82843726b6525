"""The solver's times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["times"]

_PRUNED = {
    5: (0, 2, 4, 8, 16, 32),
    6: (0, 2, 4, 6, 8, 16, 32),
    7: (0, 2, 4, 6, 8, 16, 24, 32),
    10: (0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32),
    12: (0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32),
    16: (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32),
}
"""Empirically pruned steps (Zheng et al., 2025, arXiv:2505.19931), in 32nds."""


def times(steps: int, sway: float | None) -> Tensor:
    """Return where the solver evaluates the network, and 1 at the end.

    Steps are equal but for the numbers that have a table; then they are moved towards 0 by sway sampling.

    Args:
        steps: 1 or more.
        sway: The coefficient of sway sampling (Chen et al., 2024, arXiv:2410.06885), from -1 to 1; None: none.

    Returns:
        float32 (steps + 1,), from 0 to 1.
    """
    table = _PRUNED.get(steps)
    t = torch.linspace(0, 1, steps + 1) if table is None else torch.tensor(table, dtype=torch.float32) / 32
    if sway is None:
        return t
    return t + sway * (torch.cos(math.pi / 2 * t) - 1 + t)
