"""Attention of all frames of a sequence to each other, with rotary positions in some or all heads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from realtts.accel.fused import norms as fused
from realtts.accel.kernels.rows import attend_packed
from realtts.accel.layers.bidirectional import QUERY_SCALE, attend
from realtts.accel.layers.positions import frequencies
from realtts_f5.sizes import HEAD_SIZE

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.kernels import DenseLayers
    from realtts.accel.kernels.rows import RowLayers
    from realtts.accel.weights.state_reader import StateReader
    from realtts_f5.layout import Layout
    from realtts_f5.sizes import Architecture

__all__ = ["Attention", "rotary_tables"]

_HALF = HEAD_SIZE // 2
_THETA = 10000.0


def rotary_tables(frames: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return cosines and sines of rotary positions (Su et al., 2021, arXiv:2104.09864), (2, frames, 32).

    Args:
        frames: Positions, from 0.
        device: Where the tables lie.
        dtype: Of the tables; angles are computed in float32.
    """
    angles = torch.outer(torch.arange(frames, device=device).float(), frequencies(_THETA, HEAD_SIZE, device))
    return torch.stack([angles.cos(), angles.sin()]).to(dtype)


class Attention:
    """Projections and attention of one block.

    Upstream rotates neighbouring channels against each other. Here channels of queries and keys are reordered when
    they are read, which changes no score, so that the two halves of a head rotate against each other: both are
    contiguous in memory.

    Args:
        weights: Reader of the checkpoint's tensors.
        name: Prefix of the attention's tensors, with a dot at its end.
        architecture: Shape of the network.
        products: Casts and packs the projections.
        kernel: ``own``, or ``torch`` for torch's kernel on the CPU too, or ``native`` or ``native-rounded`` for that of
            realtts-native, in float32 or in integers of 12 bits.

    Attributes:
        qkv: Projection to queries, keys and values; queries come out scaled as `attend` wants them.
        out: Projection of the attended values.
    """

    def __init__(
        self,
        weights: StateReader,
        name: str,
        architecture: Architecture,
        products: DenseLayers | RowLayers,
        *,
        kernel: str,
    ) -> None:
        heads = self._heads = architecture.heads
        self._kernel = kernel
        self._rotated_heads = heads if architecture.rotary_heads is None else architecture.rotary_heads
        width = heads * HEAD_SIZE
        (qw, qb), (kw, kb), (vw, vb) = (weights.both(f"{name}to_{part}", width, architecture.dim) for part in "qkv")
        order = _channels_by_halves(heads)
        scale = QUERY_SCALE / math.sqrt(HEAD_SIZE)
        weight = torch.cat([qw[order] * scale, kw[order], vw])  # 3 x (heads*64, dim) -> (3*heads*64, dim)
        bias = torch.cat([qb[order] * scale, kb[order], vb])
        self.qkv = products.add(weight, bias)
        self.out = products.add(*weights.both(f"{name}to_out.0", architecture.dim, width))

    def mix(self, qkv: Tensor, layout: Layout, rotary: Tensor, *, joined: bool = False) -> Tensor:
        """Attend within each sequence.

        Args:
            qkv: What `qkv` gives, (frames, 3 * heads * 64); may be changed.
            layout: Of the frames.
            rotary: Tables for the longest sequence at least, float32 for realtts-native.
            joined: Rotate by one of `realtts.accel.fused`.

        Returns:
            (frames, heads * 64).
        """
        if self._kernel.startswith("native"):
            out, exact = qkv.new_empty(len(qkv), self._heads * HEAD_SIZE), self._kernel == "native"
            rotated = self._rotated_heads
            attend_packed(qkv, out, heads=self._heads, spans=layout.spans, exact=exact, rotary=rotary, rotated=rotated)
            return out
        mask, width = layout.mask, self._heads * HEAD_SIZE
        groups = []
        for piece in layout.pieces(qkv):
            count, rows, length, _ = piece.shape
            if joined:
                rows_of = piece.view(-1, 3, self._heads, HEAD_SIZE)  # (requests, rows, frames, 3*h*64) -> frames first
                fused.rotate(rows_of, *rotary.unbind(0), frames=length, heads=self._rotated_heads)
            # (requests, rows, frames, 3*h*64) -> (3, sequences, h, frames, 64)
            split = piece.view(count * rows, length, 3, self._heads, HEAD_SIZE).permute(2, 0, 3, 1, 4)
            q, k = split[:2] if joined else self._with_positions(split[:2], rotary)
            mixed = attend(q, k, split[2], fused=self._kernel == "torch", mask=mask)
            groups.append(mixed.view(-1, width))  # (sequences, frames, h*64) -> 2-D
        return groups[0] if len(groups) == 1 else torch.cat(groups)

    def _with_positions(self, qk: Tensor, rotary: Tensor) -> Tensor:
        """Rotate queries and keys, (2, sequences, heads, frames, 64), by their positions."""
        if self._rotated_heads < self._heads:
            part = qk[:, :, : self._rotated_heads]
            part.copy_(_rotate(part, rotary))
            return qk
        return _rotate(qk, rotary)


def _rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Rotate (..., frames, 64) into memory of its own: channel c against channel c + 32."""
    cosines, sines = (table[: x.shape[-2]] for table in rotary)
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    halves, (first, second) = out.unflatten(-1, (2, _HALF)), x.split(_HALF, -1)  # (..., t, 64) -> (..., t, 2, 32)
    torch.mul(x.unflatten(-1, (2, _HALF)), cosines[:, None], out=halves)
    halves[..., 0, :].addcmul_(second, sines, value=-1)
    halves[..., 1, :].addcmul_(first, sines)
    return out


def _channels_by_halves(heads: int) -> Tensor:
    """Return upstream's channels in our order, even ones of a head before odd ones, int64 (heads * 64,)."""
    within = torch.arange(HEAD_SIZE).view(_HALF, 2).T.reshape(-1)
    return (torch.arange(heads)[:, None] * HEAD_SIZE + within).view(-1)
