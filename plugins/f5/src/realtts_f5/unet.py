"""E2-TTS's network: a flat transformer whose later half is given what the first half had, with the time as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.kernels import Dense
from realtts.accel.layers.dense import linear
from realtts_f5.attention import Attention
from realtts_f5.constants import MELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from realtts.accel.weights.state_reader import StateReader
    from realtts_f5.attention import Rotary
    from realtts_f5.dit import Compiler
    from realtts_f5.layout import Layout
    from realtts_f5.sizes import Architecture

__all__ = ["UNetT"]

_EPS = 1e-24
"""Upstream divides by a norm and guards only against zero."""


class UNetT:
    """Blocks and final projection; arguments as `realtts_f5.dit.DiT` has them."""

    def __init__(
        self,
        weights: StateReader,
        name: str,
        architecture: Architecture,
        dtype: torch.dtype,
        *,
        fused: bool,
        compiler: Compiler | None,
    ) -> None:
        dim, self._dtype = architecture.dim, dtype
        pieces = None if compiler is None else (compiler(_before), compiler(_after))
        half = architecture.depth // 2
        self._blocks = [
            _Block(weights, f"{name}layers.{n}.", architecture, dtype, fused=fused, pieces=pieces, later=n >= half)
            for n in range(architecture.depth)
        ]
        self._norm = weights.take(f"{name}norm_out.g", dim)
        self._proj = weights.both(f"{name}proj_out", MELS, dim)

    def steps(self, embedded: Tensor) -> list[tuple[Tensor, ...]]:
        """The frame of each step, (dim,) in the blocks' type."""
        return [(frame,) for frame in embedded.to(self._dtype)]

    def __call__(self, x: Tensor, step: tuple[Tensor, ...], layout: Layout, turns: Rotary) -> Tensor:
        """One evaluation, as `realtts_f5.dit.DiT` has it."""
        longer = layout.lengthened()
        h = x.new_empty(longer.frames, x.shape[1])
        for piece, frames in zip(longer.pieces(h), layout.pieces(x), strict=True):
            piece[:, :, 0], piece[:, :, 1:] = step[0], frames
        skips: list[Tensor] = []
        half = len(self._blocks) // 2
        for index, block in enumerate(self._blocks):
            if index < half:
                skips.append(h)
            h = block(h, skips.pop() if index >= half else None, longer, turns)
        kept = [piece[:, :, 1:].flatten(0, 2) for piece in longer.pieces(h)]
        last = kept[0] if len(kept) == 1 else torch.cat(kept)
        return linear(functional.rms_norm(last.float(), last.shape[1:], self._norm, _EPS), *self._proj)


class _Block:
    """Attention and a feed-forward network, each behind a norm."""

    def __init__(
        self,
        weights: StateReader,
        name: str,
        architecture: Architecture,
        dtype: torch.dtype,
        *,
        fused: bool,
        pieces: tuple[Callable[..., Tensor], Callable[..., Tensor]] | None,
        later: bool,
    ) -> None:
        dim, plain = architecture.dim, pieces is not None
        wide = dim * architecture.ff_mult
        self._skip = Dense(weights.take(f"{name}0.weight", dim, 2 * dim), None, dtype, plain=plain) if later else None
        self._norm1, self._norm2 = (weights.take(f"{name}{n}.g", dim).to(dtype) for n in (1, 3))
        self._attention = Attention(weights, f"{name}2.", architecture, dtype, fused=fused, plain=plain)
        self._up = Dense(*weights.both(f"{name}4.ff.0.0", wide, dim), dtype, gelu=True, plain=plain)
        self._down = Dense(*weights.both(f"{name}4.ff.2", dim, wide), dtype, plain=plain)
        self._pieces = pieces

    def __call__(self, x: Tensor, skip: Tensor | None, layout: Layout, turns: Rotary) -> Tensor:
        if self._skip is not None and skip is not None:
            x = self._skip(torch.cat([x, skip], 1))
        attention = self._attention
        if self._pieces is not None:
            before, after = self._pieces
            mixed = attention.mixed(before(x, self._norm1, *attention.qkv.pair), layout, turns)
            return after(x, mixed, self._norm2, *attention.out.pair, *self._up.pair, *self._down.pair)
        qkv = attention.qkv(functional.rms_norm(x, x.shape[1:], self._norm1, _EPS))
        x = attention.out(attention.mixed(qkv, layout, turns)).add_(x)
        h = self._up(functional.rms_norm(x, x.shape[1:], self._norm2, _EPS))
        return self._down(h).add_(x)


def _before(x: Tensor, norm: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What a block does up to its attention, for torch.compile."""
    return functional.linear(functional.rms_norm(x, x.shape[1:], norm, _EPS), weight, bias)


def _after(x: Tensor, mixed: Tensor, norm: Tensor, *given: Tensor) -> Tensor:
    """What a block does from its attention on, for torch.compile."""
    out, out_bias, up, up_bias, down, down_bias = given
    x = functional.linear(mixed, out, out_bias) + x
    h = functional.linear(functional.rms_norm(x, x.shape[1:], norm, _EPS), up, up_bias)
    return functional.linear(functional.gelu(h, approximate="tanh"), down, down_bias) + x
