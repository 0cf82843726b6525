"""Sinusoidal encodings: rotary positions of attention, and the time of a flow's solver."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["frequencies", "rotated", "time_waves", "turning"]


def frequencies(theta: float, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Compute the radians per position of each pair of channels, float32 (width / 2,).

    Source: Su et al., 2021, arXiv:2104.09864.

    Args:
        theta: Base of the frequencies.
        width: Width of a head.
        device: Where it is computed.
    """
    exponents = torch.arange(0, width, 2, dtype=torch.float32, device=device) / width
    return 1.0 / theta**exponents


def turning(angles: Tensor) -> tuple[Tensor, Tensor]:
    """Compute cosine and signed sine as `rotated` takes them, (..., width) each, of angles (..., width / 2)."""
    # The sign of the first half is kept in the table, which saves a negation at each use.
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate heads, both halves of a head against each other.

    Args:
        x: (..., width).
        cos: One that fits, such as (..., 1, width) for (..., heads, width).
        sin: The same, the first half negated.
    """
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin


def time_waves(times: Tensor, channels: int) -> Tensor:
    """Encode times between 0 and 1 as sines, then cosines: float32 (n, channels) for (n,).

    Source: Ho et al., 2020, arXiv:2006.11239, a thousand steps of which are the whole time here.
    """
    half = channels // 2
    exponents = torch.arange(half, device=times.device).float() * -(math.log(10000) / (half - 1))
    angles = 1000.0 * times[:, None] * exponents.exp()[None]
    return torch.cat([angles.sin(), angles.cos()], 1)
