"""F5-TTS's network: blocks whose norms and gates are set by the time (Peebles & Xie, 2022, arXiv:2212.09748)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.fused.norms import add_norm
from realtts.accel.kernels import Dense, DenseLayers
from realtts.accel.kernels.rows import RowLayer, RowLayers
from realtts.accel.layers.dense import linear
from realtts_f5.attention import Attention
from realtts_f5.constants import MELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from realtts.accel.weights.state_reader import StateReader
    from realtts_f5.layout import Layout
    from realtts_f5.sizes import Architecture

    Compiler = Callable[[Callable[..., Tensor]], Callable[..., Tensor]]
    Pieces = tuple[Callable[..., Tensor], Callable[..., Tensor]]

__all__ = ["DiT", "pairs_of"]

_EPS = 1e-6
_PARTS = 6
"""Scale, shift and gate of both halves of a block."""


class DiT:
    """Blocks and final projection; made with what the time sets and the projection, in float32.

    Args:
        weights: Reader of the checkpoint's float32 part.
        name: Prefix of the network's tensors, with a dot at its end.
        architecture: Shape of the network.
    """

    def __init__(self, weights: StateReader, name: str, architecture: Architecture) -> None:
        self._name, self._architecture, dim = name, architecture, architecture.dim
        self._modulation = [
            weights.both(f"{name}transformer_blocks.{index}.attn_norm.linear", _PARTS * dim, dim)
            for index in range(architecture.depth)
        ]
        self._last_modulation = weights.both(f"{name}norm_out.linear", 2 * dim, dim)
        self._proj = weights.both(f"{name}proj_out", MELS, dim)
        self._products: DenseLayers | RowLayers = DenseLayers(torch.float32)
        self._blocks: list[_Block] = []
        self._joined = False

    def convert(self, weights: StateReader, products: DenseLayers | RowLayers, *, attention: str) -> None:
        """Read the blocks and cast them.

        Args:
            weights: Reader of the checkpoint's part that is cast.
            products: Makes the blocks' products, in their type; what the time sets is computed in float32 for all steps
                of a schedule at once.
            attention: Kernel of `Attention`.
        """
        self._products = products
        names = [f"{self._name}transformer_blocks.{index}." for index in range(self._architecture.depth)]
        self._blocks = [_Block(weights, name, self._architecture, products, attention) for name in names]

    def pack(self, compiler: Compiler | None, *, joined: bool = False) -> None:
        """Lay the blocks' weights out for the kernels that compute them.

        Args:
            compiler: Makes the compiled form of a function; what lies before attention in a block and what lies behind
                it are compiled once for all blocks. None: nothing is compiled.
            joined: Gate, residual and norm are one of `realtts.accel.fused`, and so is the rotation.
        """
        self._joined = joined
        if compiler is None or isinstance(self._products, RowLayers):
            self._products.pack()
            return
        pieces = compiler(_before_attention), compiler(_after_attention)  # compiled code takes weights as they are
        for block in self._blocks:
            block.pieces = pieces

    def steps(self, embedded: Tensor) -> list[tuple[Tensor, ...]]:
        """Compute what the time sets, for each step: (blocks, 6, dim) in the blocks' type and (2, dim) in float32.

        Args:
            embedded: Times, float32 (steps, dim).
        """
        active = functional.silu(embedded)
        count, dim = active.shape
        parts = [linear(active, *pair).view(count, _PARTS, dim) for pair in self._modulation]  # (steps, 6*dim) -> 3-D
        # (steps, blocks, 6, dim); upstream's order is shift, scale, gate of each half of a block
        blocks = torch.stack(parts, 1)[:, :, [1, 0, 2, 4, 3, 5]]
        blocks[:, :, ::3] += 1  # scales: as a norm's weight, which spares a product in every block
        last = linear(active, *self._last_modulation).view(count, 2, dim)
        last[:, 0] += 1
        return list(zip(blocks.to(self._products.dtype), last, strict=True))

    def __call__(self, x: Tensor, step: tuple[Tensor, ...], layout: Layout, rotary: Tensor) -> Tensor:
        """Evaluate the network once.

        Args:
            x: Embedded input, (frames, dim); is changed.
            step: One of `steps`.
            layout: Of the frames.
            rotary: Tables for the longest sequence at least.

        Returns:
            float32 (frames, 100).
        """
        blocks, last = step
        if self._joined:
            return self._by_operations(x, blocks, last, layout, rotary)
        for block, modulation in zip(self._blocks, blocks.unbind(0), strict=True):
            x = block(x, modulation, layout, rotary)
        return linear(functional.layer_norm(x.float(), x.shape[1:], last[0], last[1], _EPS), *self._proj)

    def _by_operations(self, x: Tensor, blocks: Tensor, last: Tensor, layout: Layout, rotary: Tensor) -> Tensor:
        """Evaluate the network with each norm computed where the sum before it is."""
        scale, shift = blocks[0, 0], blocks[0, 1]
        h = functional.layer_norm(x, x.shape[1:], scale, shift, _EPS)
        for index, block in enumerate(self._blocks):
            after = blocks[index + 1] if index + 1 < len(self._blocks) else last
            x, h = block.by_operations(x, h, blocks[index], after, layout, rotary)
        return linear(h, *self._proj)


class _Block:
    """Attention and a feed-forward network, each behind a norm and before a gate."""

    def __init__(
        self,
        weights: StateReader,
        name: str,
        architecture: Architecture,
        products: DenseLayers | RowLayers,
        attention: str,
    ) -> None:
        dim, wide = architecture.dim, architecture.dim * architecture.ff_mult
        self._attention = Attention(weights, f"{name}attn.", architecture, products, kernel=attention)
        self._up = products.add(*weights.both(f"{name}ff.ff.0.0", wide, dim), gelu=True)
        self._down = products.add(*weights.both(f"{name}ff.ff.2", dim, wide))
        self.pieces: Pieces | None = None

    def __call__(self, x: Tensor, modulation: Tensor, layout: Layout, rotary: Tensor) -> Tensor:
        """Compute the block on (frames, dim), which is changed.

        All rows have the same time, so a scale and a shift of ``modulation``, (6, dim), are a norm's weight and bias.
        """
        attention = self._attention
        if isinstance(attention.qkv, RowLayer):
            return self._rounded(x, modulation, layout, rotary)
        scale, shift, gate, scale2, shift2, gate2 = modulation.unbind(0)
        if self.pieces is not None:
            before, after = self.pieces
            mixed = attention.mix(before(x, scale, shift, *attention.qkv.pair), layout, rotary)
            norm = gate, scale2, shift2, gate2
            return after(x, mixed, *norm, *pairs_of(attention.out, self._up, self._down))
        qkv = attention.qkv(functional.layer_norm(x, x.shape[1:], scale, shift, _EPS))
        x = x.addcmul_(gate, attention.out(attention.mix(qkv, layout, rotary)))
        h = self._up(functional.layer_norm(x, x.shape[1:], scale2, shift2, _EPS))
        return x.addcmul_(gate2, self._down(h))

    def by_operations(  # noqa: PLR0917 - called in one place
        self, x: Tensor, h: Tensor, modulation: Tensor, after: Tensor, layout: Layout, rotary: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the block.

        Args:
            x: (frames, dim).
            h: Its first norm.
            modulation: As of `__call__`.
            after: Scale and shift of the norm behind the block, (2 or more, dim); its type is that norm's.
            layout: Of the frames.
            rotary: Tables of positions.

        Returns:
            What comes out, and its norm.
        """
        _, _, gate, scale2, shift2, gate2 = modulation.unbind(0)
        attention = self._attention
        mixed = attention.mix(attention.qkv(h), layout, rotary, joined=True)
        x, h = add_norm(x, attention.out(mixed), scale2, shift2, gate=gate, eps=_EPS)
        return add_norm(x, self._down(self._up(h)), after[0], after[1], gate=gate2, eps=_EPS)

    def _rounded(self, x: Tensor, modulation: Tensor, layout: Layout, rotary: Tensor) -> Tensor:
        """Compute the same with norms, gates and sums as part of the products."""
        attention = self._attention
        assert isinstance(attention.qkv, RowLayer)
        assert isinstance(attention.out, RowLayer)
        assert isinstance(self._up, RowLayer)
        assert isinstance(self._down, RowLayer)
        qkv = attention.qkv.run(x, norm=modulation[:2], eps=_EPS)
        attention.out.run(attention.mix(qkv, layout, rotary), x, gate=modulation[2], add=True)
        return self._up.run(x, x, second=self._down, norm=modulation[3:5], eps=_EPS, gate=modulation[5], add=True)


def pairs_of(*layers: Dense | RowLayer) -> Iterator[Tensor | None]:
    """Yield weight and bias of floating-point layers, one after the other, for compiled code."""
    for layer in layers:
        assert isinstance(layer, Dense), "int8 layers are not compiled"
        yield from layer.pair


def _before_attention(x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute a block up to its attention, for torch.compile."""
    return functional.linear(functional.layer_norm(x, x.shape[1:], scale, shift, _EPS), weight, bias)


def _after_attention(x: Tensor, mixed: Tensor, *weights: Tensor) -> Tensor:
    """Compute a block from its attention on, for torch.compile."""
    gate, scale, shift, gate2, out, out_bias, up, up_bias, down, down_bias = weights
    x = torch.addcmul(x, gate, functional.linear(mixed, out, out_bias))
    h = functional.linear(functional.layer_norm(x, x.shape[1:], scale, shift, _EPS), up, up_bias)
    return torch.addcmul(x, gate2, functional.linear(functional.gelu(h, approximate="tanh"), down, down_bias))
