"""Rotary tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from realtts.accel.layers.positions import frequencies, turning

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.decoder.config import Llama3Scaling, Rope

__all__ = ["RopeTable"]


class RopeTable:
    """Cosines and sines for every position up to a cap, computed in float32.

    Args:
        rope: Parameters.
        head_dim: Width of a head.
        positions: Number of positions.
        device: Where the tables lie.
    """

    def __init__(self, rope: Rope, head_dim: int, positions: int, device: torch.device) -> None:
        steps = frequencies(rope.theta, head_dim, device)
        if rope.scaling is not None:
            steps = _llama3(steps, rope.scaling)
        # One more than can be read: a row that has filled its last slot stands behind it.
        self._cos, self._sin = turning(torch.arange(positions + 1, dtype=torch.float32, device=device)[:, None] * steps)

    def __call__(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Look up cosine and signed sine at some positions, both of shape (*positions.shape, 1, head_dim)."""
        return self._cos[positions].unsqueeze(-2).to(dtype), self._sin[positions].unsqueeze(-2).to(dtype)

    @property
    def tables(self) -> tuple[Tensor, Tensor]:
        """Cosine and signed sine of every position, float32 (positions + 1, head_dim) both."""
        return self._cos, self._sin

    def __len__(self) -> int:
        return len(self._cos) - 1


def _llama3(steps: Tensor, scaling: Llama3Scaling) -> Tensor:
    """Stretch frequencies as Llama 3.1 does; source: ``_compute_llama3_parameters`` of transformers."""
    wavelengths = 2 * math.pi / steps
    longest = scaling.original_max_position / scaling.low_freq_factor
    shortest = scaling.original_max_position / scaling.high_freq_factor
    smooth = (scaling.original_max_position / wavelengths - scaling.low_freq_factor) / (
        scaling.high_freq_factor - scaling.low_freq_factor
    )
    between = (1 - smooth) * steps / scaling.factor + smooth * steps
    stretched = torch.where(wavelengths > longest, steps / scaling.factor, steps)
    return torch.where((wavelengths >= shortest) & (wavelengths <= longest), between, stretched)
