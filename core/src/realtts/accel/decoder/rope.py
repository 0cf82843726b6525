"""Rotary tables, and their application to queries and keys at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.decoder.config import Llama3Scaling, Rope

__all__ = ["RopeTable", "rotated"]


class RopeTable:
    """Cosines and sines for every position up to a cap, computed in float32.

    Args:
        rope: Parameters.
        head_dim: Width of a head.
        positions: Number of positions.
        device: Where the tables lie.
    """

    def __init__(self, rope: Rope, head_dim: int, positions: int, device: torch.device) -> None:
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim
        frequencies = 1.0 / rope.theta**exponents
        if rope.scaling is not None:
            frequencies = _llama3(frequencies, rope.scaling)
        # One more than can be read: a row that has filled its last slot stands behind it.
        angles = torch.arange(positions + 1, dtype=torch.float32, device=device)[:, None] * frequencies
        self._cos = torch.cat([angles.cos(), angles.cos()], -1)
        # The sign of the first half is kept in the table, which spares a negation at each use.
        self._sin = torch.cat([-angles.sin(), angles.sin()], -1)

    def __call__(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosine and signed sine at some positions, both of shape (*positions.shape, 1, head_dim)."""
        return self._cos[positions].unsqueeze(-2).to(dtype), self._sin[positions].unsqueeze(-2).to(dtype)

    def __len__(self) -> int:
        return len(self._cos) - 1


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate heads.

    Args:
        x: (..., heads, head_dim).
        cos: (..., 1, head_dim).
        sin: (..., 1, head_dim), the first half negated.
    """
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin


def _llama3(frequencies: Tensor, scaling: Llama3Scaling) -> Tensor:
    """Source: ``transformers/modeling_rope_utils.py``, ``_compute_llama3_parameters``."""
    wavelengths = 2 * math.pi / frequencies
    longest = scaling.original_max_position / scaling.low_freq_factor
    shortest = scaling.original_max_position / scaling.high_freq_factor
    smooth = (scaling.original_max_position / wavelengths - scaling.low_freq_factor) / (
        scaling.high_freq_factor - scaling.low_freq_factor
    )
    between = (1 - smooth) * frequencies / scaling.factor + smooth * frequencies
    stretched = torch.where(wavelengths > longest, frequencies / scaling.factor, frequencies)
    return torch.where((wavelengths >= shortest) & (wavelengths <= longest), between, stretched)
