"""The layers of `realtts_chatterbox.estimator_parts` with int8 weights and activations, by realtts-native.

What the network's first and last layer are given, and what flows past the layers, stays float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.kernels.rows import RowLayer
from realtts_chatterbox import estimator_parts
from realtts_chatterbox.estimator_parts import HEAD_DIM, attend_natively, qkv_weight

if TYPE_CHECKING:
    from torch import Tensor

    from realtts_chatterbox.estimator_parts import Read
    from realtts_chatterbox.prepared import Prepared

__all__ = ["Block", "Conv", "ConvNorm", "Resnet"]

_FRAMES = 3
"""Frames that a convolution sees, its own the last."""


class Conv:
    """A causal convolution of three frames: a product with three of them side by side."""

    def __init__(self, read: Read, name: str, _: torch.dtype) -> None:
        self._layer = RowLayer(_side_by_side(read(f"{name}weight")), read(f"{name}bias"))

    def __call__(self, x: Tensor, gaps: Tensor) -> Tensor:
        """Convolve (frames, channels)."""
        return self._layer.run(x.index_fill_(0, gaps, 0), window=_FRAMES)


class ConvNorm:
    """A causal convolution, a norm over the channels and Mish."""

    def __init__(self, read: Read, name: str, _: torch.dtype) -> None:
        weight = _side_by_side(read(f"{name}0.weight"))
        self._layer = RowLayer(weight, read(f"{name}0.bias"), activation="mish")
        self._norm = _norm(read, f"{name}2.")

    def __call__(self, x: Tensor, gaps: Tensor, *, shift: Tensor | None = None, add_to: Tensor | None = None) -> Tensor:
        """Convolve (frames, channels); add ``shift`` to all frames, and all of it to ``add_to``."""
        return self._layer.run(
            x.index_fill_(0, gaps, 0),
            add_to,
            window=_FRAMES,
            last_norm=self._norm,
            shift=shift,
            add=add_to is not None,
        )


class Resnet(estimator_parts.Resnet):
    """Two convolutions with the time between them, and a residual; of the network's first the second is rounded."""

    def __init__(self, read: Read, name: str, dtype: torch.dtype, *, first: bool) -> None:
        if first:
            super().__init__(read, name, dtype, first=True)
            del self.conv2
        else:
            self._first = ConvNorm(read, f"{name}block1.block.", dtype)
            weight = read(f"{name}res_conv.weight").squeeze(2)  # (out, in, 1) -> (out, in)
            self._residual = RowLayer(weight, read(f"{name}res_conv.bias"))
            self.time = read(f"{name}mlp.1.weight"), read(f"{name}mlp.1.bias")
        self._second = ConvNorm(read, f"{name}block2.block.", dtype)

    def __call__(self, x: Tensor, time: Tensor, gaps: Tensor) -> Tensor:
        """Compute the block on (frames, channels)."""
        h = self._first(x, gaps, shift=time)
        return self._second(h, gaps, add_to=self._residual(x))

    def end(self, h: Tensor, residual: Tensor, gaps: Tensor) -> Tensor:
        """Compute the second convolution and add what goes past both."""
        return self._second(h, gaps, add_to=residual)


class Block:
    """Attention and a feed-forward network, each behind a norm.

    Attributes:
        width: Of the queries of all heads.
    """

    def __init__(self, read: Read, name: str, _: torch.dtype, __: str) -> None:
        weight = qkv_weight(read, name)
        self.width = len(weight) // 3
        self._qkv = RowLayer(weight, None)
        self._out = RowLayer(read(f"{name}attn1.to_out.0.weight"), read(f"{name}attn1.to_out.0.bias"))
        up, down = f"{name}ff.net.0.proj.", f"{name}ff.net.2."
        self._up = RowLayer(read(f"{up}weight"), read(f"{up}bias"), activation="gelu")
        self._down = RowLayer(read(f"{down}weight"), read(f"{down}bias"))
        self._norm1, self._norm3 = _norm(read, f"{name}norm1."), _norm(read, f"{name}norm3.")

    def __call__(self, x: Tensor, prepared: Prepared) -> Tensor:
        """Compute the block on (frames, channels), which is changed."""
        layout = prepared.layout
        qkv = self._qkv.run(x, norm=self._norm1)
        mixed = attend_natively(qkv, layout.packing, layout.gaps, self.width // HEAD_DIM, exact=False)
        self._out.run(mixed, x, add=True)
        return self._up.run(x, x, second=self._down, norm=self._norm3, add=True)


def _norm(read: Read, name: str) -> Tensor:
    """Read weight and bias of a norm, float32 (2, channels)."""
    return torch.stack([read(f"{name}weight"), read(f"{name}bias")])


def _side_by_side(weight: Tensor) -> Tensor:
    """Lay the weight of a convolution, (out, in, 3), out for frames side by side: (out, 3 * in)."""
    return weight.permute(0, 2, 1).flatten(1)
