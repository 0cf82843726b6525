"""E2-TTS's network: a flat transformer whose later half is given what the first half had, with the time as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.fused.norms import add_norm
from realtts.accel.kernels import DenseLayers
from realtts.accel.kernels.rows import RowLayers
from realtts.accel.layers.dense import linear
from realtts_f5.attention import Attention
from realtts_f5.constants import MELS
from realtts_f5.dit import pairs_of

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.weights.state_reader import StateReader
    from realtts_f5.dit import Compiler, Pieces
    from realtts_f5.layout import Layout
    from realtts_f5.sizes import Architecture

__all__ = ["UNetT"]

_EPS = 1e-24
"""Upstream divides by a norm and guards only against zero."""


class UNetT:
    """Blocks and final projection, with the methods of `realtts_f5.dit.DiT`; made with the latter, in float32.

    Args:
        weights: Reader of the checkpoint's float32 part.
        name: Prefix of the network's tensors, with a dot at its end.
        architecture: Shape of the network.
    """

    def __init__(self, weights: StateReader, name: str, architecture: Architecture) -> None:
        self._name, self._architecture = name, architecture
        self._norm = weights.take(f"{name}norm_out.g", architecture.dim)
        self._proj = weights.both(f"{name}proj_out", MELS, architecture.dim)
        self._products: DenseLayers | RowLayers = DenseLayers(torch.float32)
        self._blocks: list[_Block] = []

    def convert(self, weights: StateReader, products: DenseLayers | RowLayers, *, attention: str) -> None:
        """Read the blocks and cast them, as `realtts_f5.dit.DiT.convert`."""
        self._products = products
        depth = self._architecture.depth
        self._blocks = [
            _Block(
                weights, f"{self._name}layers.{index}.", self._architecture, products,
                attention=attention, later=index >= depth // 2,
            )
            for index in range(depth)
        ]  # fmt: skip

    def pack(self, compiler: Compiler | None, *, joined: bool = False) -> None:
        """Lay the blocks' weights out, as `realtts_f5.dit.DiT.pack`."""
        for block in self._blocks:
            block.joined = joined
        if compiler is None or isinstance(self._products, RowLayers):
            self._products.pack()
            return
        pieces = compiler(_before_attention), compiler(_after_attention)  # compiled code takes weights as they are
        for block in self._blocks:
            block.pieces = pieces

    def steps(self, embedded: Tensor) -> list[tuple[Tensor, ...]]:
        """Return the frame of each step, (dim,) in the blocks' type, for times embedded as float32 (steps, dim)."""
        return [(frame,) for frame in embedded.to(self._products.dtype)]

    def __call__(self, x: Tensor, step: tuple[Tensor, ...], layout: Layout, rotary: Tensor) -> Tensor:
        """Evaluate the network once, as `realtts_f5.dit.DiT.__call__`; ``rotary`` needs one frame more for the time."""
        longer = layout.lengthened()
        h = x.new_empty(longer.frames, x.shape[1])
        for piece, frames in zip(longer.pieces(h), layout.pieces(x), strict=True):
            piece[:, :, 0], piece[:, :, 1:] = step[0], frames  # the time stands before each sequence
        skips: list[Tensor] = []
        half = len(self._blocks) // 2
        for index, block in enumerate(self._blocks):
            if index < half:
                skips.append(h)
            h = block(h, skips.pop() if index >= half else None, longer, rotary)
        # (requests, rows, 1 + frames, dim) -> (frames of all rows, dim)
        groups = [piece[:, :, 1:].flatten(0, 2) for piece in longer.pieces(h)]
        last = groups[0] if len(groups) == 1 else torch.cat(groups)
        return linear(functional.rms_norm(last.float(), last.shape[1:], self._norm, _EPS), *self._proj)


class _Block:
    """Attention and a feed-forward network, each behind a norm."""

    def __init__(
        self,
        weights: StateReader,
        name: str,
        architecture: Architecture,
        products: DenseLayers | RowLayers,
        *,
        attention: str,
        later: bool,
    ) -> None:
        dim, wide = architecture.dim, architecture.dim * architecture.ff_mult
        # in the later half: joins the block's input with that of its counterpart in the first half
        self._skip = products.add(weights.take(f"{name}0.weight", dim, 2 * dim)) if later else None
        self._norm1, self._norm2 = (weights.take(f"{name}{n}.g", dim).to(products.dtype) for n in (1, 3))
        self._attention = Attention(weights, f"{name}2.", architecture, products, kernel=attention)
        self._up = products.add(*weights.both(f"{name}4.ff.0.0", wide, dim), gelu=True)
        self._down = products.add(*weights.both(f"{name}4.ff.2", dim, wide))
        self.pieces: Pieces | None = None
        self.joined = False

    def __call__(self, x: Tensor, skip: Tensor | None, layout: Layout, rotary: Tensor) -> Tensor:
        """Compute the block on (frames, dim); ``skip``, of the same shape, is what its counterpart was given."""
        if self._skip is not None and skip is not None:
            x = self._skip(torch.cat([x, skip], 1))
        attention = self._attention
        if self.joined:
            h = functional.rms_norm(x, x.shape[1:], self._norm1, _EPS)
            mixed = attention.mix(attention.qkv(h), layout, rotary, joined=True)
            x, h = add_norm(x, attention.out(mixed), self._norm2, None, eps=_EPS, rms=True)
            return self._down(self._up(h)).add_(x)
        if self.pieces is not None:
            before, after = self.pieces
            mixed = attention.mix(before(x, self._norm1, *pairs_of(attention.qkv)), layout, rotary)
            return after(x, mixed, self._norm2, *pairs_of(attention.out, self._up, self._down))
        qkv = attention.qkv(functional.rms_norm(x, x.shape[1:], self._norm1, _EPS))
        x = attention.out(attention.mix(qkv, layout, rotary)).add_(x)
        h = self._up(functional.rms_norm(x, x.shape[1:], self._norm2, _EPS))
        return self._down(h).add_(x)


def _before_attention(x: Tensor, norm: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute a block up to its attention, for torch.compile."""
    return functional.linear(functional.rms_norm(x, x.shape[1:], norm, _EPS), weight, bias)


def _after_attention(x: Tensor, mixed: Tensor, norm: Tensor, *weights: Tensor) -> Tensor:
    """Compute a block from its attention on, for torch.compile."""
    out, out_bias, up, up_bias, down, down_bias = weights
    x = functional.linear(mixed, out, out_bias) + x
    h = functional.linear(functional.rms_norm(x, x.shape[1:], norm, _EPS), up, up_bias)
    return functional.linear(functional.gelu(h, approximate="tanh"), down, down_bias) + x
