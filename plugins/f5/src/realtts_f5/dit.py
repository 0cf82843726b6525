"""F5-TTS's network: blocks whose norms and gates are set by the time (Peebles & Xie, 2022, arXiv:2212.09748)."""

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
    from realtts_f5.layout import Layout
    from realtts_f5.sizes import Architecture

    Compiler = Callable[[Callable[..., Tensor]], Callable[..., Tensor]]

__all__ = ["DiT"]

_EPS = 1e-6
_PARTS = 6


class DiT:
    """Blocks and final projection.

    Args:
        weights: Of the checkpoint.
        name: Of the network, with a dot at its end.
        architecture: Of the network.
        dtype: Of the blocks; what the time sets is computed in float32 for all steps of a schedule at once.
        fused: As `Attention` has it.
        compiler: Makes the compiled form of a function; what lies before attention in a block and what lies behind it
            are compiled once for all blocks. None: nothing is compiled.
    """

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
        self._blocks, self._modulation = [], []
        for index in range(architecture.depth):
            block = f"{name}transformer_blocks.{index}."
            self._blocks.append(_Block(weights, block, architecture, dtype, fused=fused, pieces=pieces))
            self._modulation.append(weights.both(f"{block}attn_norm.linear", _PARTS * dim, dim))
        self._last_modulation = weights.both(f"{name}norm_out.linear", 2 * dim, dim)
        self._proj = weights.both(f"{name}proj_out", MELS, dim)

    def steps(self, embedded: Tensor) -> list[tuple[Tensor, ...]]:
        """What the time sets, for each step: (blocks, 6, dim) in the blocks' type and (2, dim) in float32.

        Args:
            embedded: Times, float32 (steps, dim).
        """
        active = functional.silu(embedded)
        count, dim = active.shape
        parts = [linear(active, *pair).view(count, _PARTS, dim) for pair in self._modulation]
        blocks = torch.stack(parts, 1)[:, :, [1, 0, 2, 4, 3, 5]]  # scale, shift, gate of both halves of a block
        blocks[:, :, ::3] += 1
        last = linear(active, *self._last_modulation).view(count, 2, dim)
        last[:, 0] += 1
        return list(zip(blocks.to(self._dtype), last, strict=True))

    def __call__(self, x: Tensor, step: tuple[Tensor, ...], layout: Layout, turns: Rotary) -> Tensor:
        """One evaluation.

        Args:
            x: Embedded input, (frames, dim); is changed.
            step: One of `steps`.
            layout: Of the frames.
            turns: For the longest sequence and one frame more.

        Returns:
            float32 (frames, 100).
        """
        blocks, last = step
        for block, modulation in zip(self._blocks, blocks.unbind(0), strict=True):
            x = block(x, modulation, layout, turns)
        return linear(functional.layer_norm(x.float(), x.shape[1:], last[0], last[1], _EPS), *self._proj)


class _Block:
    """Attention and a feed-forward network, each behind a norm and before a gate."""

    def __init__(
        self,
        weights: StateReader,
        name: str,
        architecture: Architecture,
        dtype: torch.dtype,
        *,
        fused: bool,
        pieces: tuple[Callable[..., Tensor], Callable[..., Tensor]] | None,
    ) -> None:
        dim, plain = architecture.dim, pieces is not None
        wide = dim * architecture.ff_mult
        self._attention = Attention(weights, f"{name}attn.", architecture, dtype, fused=fused, plain=plain)
        self._up = Dense(*weights.both(f"{name}ff.ff.0.0", wide, dim), dtype, gelu=True, plain=plain)
        self._down = Dense(*weights.both(f"{name}ff.ff.2", dim, wide), dtype, plain=plain)
        self._pieces = pieces

    def __call__(self, x: Tensor, modulation: Tensor, layout: Layout, turns: Rotary) -> Tensor:
        """``x`` is changed; all rows have the same time, so a scale and a shift are a norm's weight and bias."""
        scale, shift, gate, scale2, shift2, gate2 = modulation.unbind(0)
        attention = self._attention
        if self._pieces is not None:
            before, after = self._pieces
            mixed = attention.mixed(before(x, scale, shift, *attention.qkv.pair), layout, turns)
            norm = gate, scale2, shift2, gate2
            return after(x, mixed, *norm, *attention.out.pair, *self._up.pair, *self._down.pair)
        qkv = attention.qkv(functional.layer_norm(x, x.shape[1:], scale, shift, _EPS))
        x = x.addcmul_(gate, attention.out(attention.mixed(qkv, layout, turns)))
        h = self._up(functional.layer_norm(x, x.shape[1:], scale2, shift2, _EPS))
        return x.addcmul_(gate2, self._down(h))


def _before(x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What a block does up to its attention, for torch.compile."""
    return functional.linear(functional.layer_norm(x, x.shape[1:], scale, shift, _EPS), weight, bias)


def _after(x: Tensor, mixed: Tensor, *given: Tensor) -> Tensor:
    """What a block does from its attention on, for torch.compile."""
    gate, scale, shift, gate2, out, out_bias, up, up_bias, down, down_bias = given
    x = torch.addcmul(x, gate, functional.linear(mixed, out, out_bias))
    h = functional.linear(functional.layer_norm(x, x.shape[1:], scale, shift, _EPS), up, up_bias)
    return torch.addcmul(x, gate2, functional.linear(functional.gelu(h, approximate="tanh"), down, down_bias))
