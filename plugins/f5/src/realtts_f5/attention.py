"""Attention of all frames of a sequence to each other, with positions turned into some or all heads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.kernels import Dense
from realtts.accel.layers.bidirectional import QUERY_SCALE, attend
from realtts.accel.layers.positions import frequencies
from realtts_f5.sizes import HEAD_SIZE

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.weights.state_reader import StateReader
    from realtts_f5.layout import Layout
    from realtts_f5.sizes import Architecture

__all__ = ["Attention", "Rotary", "rotary"]

_HALF = HEAD_SIZE // 2
_THETA = 10000.0

Rotary = tuple["Tensor", "Tensor"]
"""Cosines and sines of positions, (frames, 32) each."""


def rotary(frames: int, device: torch.device, dtype: torch.dtype) -> Rotary:
    """The tables of Su et al., 2021, arXiv:2104.09864."""
    angles = torch.outer(torch.arange(frames, device=device).float(), frequencies(_THETA, HEAD_SIZE, device))
    return angles.cos().to(dtype), angles.sin().to(dtype)


class Attention:
    """Projections and attention of one block.

    Upstream turns neighbouring channels against each other. Here channels of queries and keys are reordered when
    loaded, which changes no score, so that the two halves of a head turn against each other: whole stretches of memory.

    Args:
        weights: Of the checkpoint.
        name: Of the attention, with a dot at its end.
        architecture: Of the network.
        dtype: Of weights and activations.
        fused: Whether torch's kernel is to be taken on the CPU too.
        plain: As `Dense` has it.
    """

    def __init__(
        self,
        weights: StateReader,
        name: str,
        architecture: Architecture,
        dtype: torch.dtype,
        *,
        fused: bool,
        plain: bool,
    ) -> None:
        self._heads, self._fused = architecture.heads, fused
        self._turned = architecture.heads if architecture.rotary_heads is None else architecture.rotary_heads
        width = architecture.heads * HEAD_SIZE
        parts = [weights.both(f"{name}to_{part}", width, architecture.dim) for part in "qkv"]
        order = _halves(architecture.heads)
        scale = QUERY_SCALE / math.sqrt(HEAD_SIZE)
        (qw, qb), (kw, kb), (vw, vb) = parts
        weight = torch.cat([qw[order] * scale, kw[order], vw])
        bias = torch.cat([qb[order] * scale, kb[order], vb])
        self.qkv = Dense(weight, bias, dtype, plain=plain)
        self.out = Dense(*weights.both(f"{name}to_out.0", architecture.dim, width), dtype, plain=plain)

    def mixed(self, qkv: Tensor, layout: Layout, turns: Rotary) -> Tensor:
        """Attention within each sequence.

        Args:
            qkv: As the projection gives it, (frames, 3 * heads * 64); may be changed.
            layout: Of the frames.
            turns: For the longest sequence.

        Returns:
            (frames, heads * 64).
        """
        keys, width = layout.keys, self._heads * HEAD_SIZE
        found = []
        for piece in layout.pieces(qkv):
            count, rows, length, _ = piece.shape
            split = piece.view(count * rows, length, 3, self._heads, HEAD_SIZE).permute(2, 0, 3, 1, 4)
            q, k = self._positioned(split[:2], turns)
            found.append(self._attended(q, k, split[2], keys).view(-1, width))
        return found[0] if len(found) == 1 else torch.cat(found)

    def _positioned(self, qk: Tensor, turns: Rotary) -> Tensor:
        """Queries and keys, (2, sequences, heads, frames, 64), turned by their positions."""
        if self._turned < self._heads:
            part = qk[:, :, : self._turned]
            part.copy_(_turn(part, turns))
            return qk
        return _turn(qk, turns)

    def _attended(self, q: Tensor, k: Tensor, v: Tensor, keys: Tensor | None) -> Tensor:
        if keys is None:
            return attend(q, k, v, fused=self._fused)
        # the base of `attend` is 2
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=keys, scale=math.log(2))
        return mixed.transpose(1, 2).reshape(*v.shape[::2], -1)


def _turn(x: Tensor, turns: Rotary) -> Tensor:
    """(..., frames, 64) turned, in memory of its own."""
    cosines, sines = (table[: x.shape[-2]] for table in turns)
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    halves, (first, second) = out.unflatten(-1, (2, _HALF)), x.split(_HALF, -1)
    torch.mul(x.unflatten(-1, (2, _HALF)), cosines[:, None], out=halves)
    halves[..., 0, :].addcmul_(second, sines, value=-1)
    halves[..., 1, :].addcmul_(first, sines)
    return out


def _halves(heads: int) -> Tensor:
    """Upstream's channels in our order, int64 (heads * 64,)."""
    within = torch.arange(HEAD_SIZE).view(_HALF, 2).T.reshape(-1)
    return (torch.arange(heads)[:, None] * HEAD_SIZE + within).view(-1)
