"""The layers of the flow's estimator over packed frames, in one floating-point type.

Each computes in two ways: by operations of torch, and with `realtts.accel.fused`, in fewer launches (``joined``).
`realtts_chatterbox.estimator_rows` has the same with int8 weights and activations.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.fused.norms import add_norm, norm_mish
from realtts.accel.kernels.rows import attend_packed
from realtts.accel.layers.bidirectional import QUERY_SCALE, attend
from realtts.accel.layers.dense import causal_conv, linear, mish, wide
from realtts_chatterbox.constants import MELS
from realtts_chatterbox.layout import GAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from realtts_chatterbox.layout import Packing
    from realtts_chatterbox.prepared import Prepared

    Read = Callable[[str], Tensor]
    """Reads a tensor by its name, in float32 on the device."""

__all__ = ["HEAD_DIM", "Block", "Conv", "ConvNorm", "Resnet", "attend_natively", "qkv_weight", "with_gaps"]

HEAD_DIM = 64
"""Width of an attention head."""

_EPS = 1e-5
_ALIGNED = 16
"""Values that a line of a mask is a multiple of; torch copies others at each call."""


class Conv:
    """A causal convolution of three frames."""

    def __init__(self, read: Read, name: str, dtype: torch.dtype) -> None:
        self.set_weight(read(f"{name}weight").to(dtype))
        self.bias = read(f"{name}bias").to(dtype)

    def set_weight(self, weight: Tensor) -> None:
        """Take a kernel (out, in, 3), in the layout that `causal_conv` wants."""
        self.weight = wide(weight)

    def __call__(self, x: Tensor, gaps: Tensor) -> Tensor:
        """Convolve (frames, channels), whose gaps are set to zero."""
        # Zeros in the gaps: what the convolution sees before a sequence must not be the end of another.
        return self.convolved(x.index_fill_(0, gaps, 0))

    def convolved(self, x: Tensor) -> Tensor:
        """Convolve (frames, channels) whose gaps are zero."""
        return causal_conv(x, self.weight, self.bias)


class ConvNorm(Conv):
    """A causal convolution, a norm over the channels and Mish."""

    def __init__(self, read: Read, name: str, dtype: torch.dtype, norm_dtype: torch.dtype | None = None) -> None:
        super().__init__(read, f"{name}0.", dtype)
        self._norm = read(f"{name}2.weight").to(norm_dtype or dtype), read(f"{name}2.bias").to(norm_dtype or dtype)

    def __call__(self, x: Tensor, gaps: Tensor) -> Tensor:
        """Convolve (frames, channels), whose gaps are set to zero."""
        return self.activated(super().__call__(x, gaps))

    def activated(self, x: Tensor) -> Tensor:
        """Apply norm and Mish to the convolution's output."""
        return mish(functional.layer_norm(x, x.shape[1:], *self._norm))

    def joined(
        self, x: Tensor, *, shift: Tensor | None = None, residual: Tensor | None = None, silent: Tensor | None = None
    ) -> Tensor:
        """Apply norm and Mish to the convolution's output, then add, all in one launch."""
        return norm_mish(x, *self._norm, shift=shift, residual=residual, silent=silent)


class Resnet:
    """Two convolutions with the time between them, and a residual.

    The network's first one reads state and conditioning side by side: its first convolution and its residual stay
    float32, and each is split in two, one for the state (80 channels) and one for the conditioning (`conditioning`).
    """

    def __init__(self, read: Read, name: str, dtype: torch.dtype, *, first: bool) -> None:
        outer = torch.float32 if first else dtype
        self.conv1 = ConvNorm(read, f"{name}block1.block.", outer, dtype)
        self.conv2 = ConvNorm(read, f"{name}block2.block.", dtype)
        self.time = read(f"{name}mlp.1.weight"), read(f"{name}mlp.1.bias")
        weight = read(f"{name}res_conv.weight").squeeze(2).to(outer).detach()  # (out, in, 1) -> (out, in)
        self.residual = weight, read(f"{name}res_conv.bias").to(outer)
        if first:
            whole = self.conv1.weight.squeeze(2)  # (out, in, 1, 3) -> (out, in, 3)
            self.conditioning = wide(whole[:, MELS:]), weight[:, MELS:].contiguous()
            self.conv1.set_weight(whole[:, :MELS])
            self.residual = weight[:, :MELS].contiguous(), self.residual[1]

    def __call__(self, x: Tensor, time: Tensor, gaps: Tensor) -> Tensor:
        """Compute the block on (frames, channels); ``time`` (channels,) is what the time adds."""
        h = self.conv1(x, gaps).add_(time)
        return self.end(h, linear(x, *self.residual), gaps)

    def end(self, h: Tensor, residual: Tensor, gaps: Tensor) -> Tensor:
        """Compute the second convolution and add what goes past both."""
        return self.conv2(h, gaps).add_(residual)

    def joined(self, convolved: Tensor, residual: Tensor, time: Tensor, silent: Tensor | None) -> Tensor:
        """Go on behind the first convolution, in a launch each for norms and convolution."""
        h = self.conv1.joined(convolved, shift=time, silent=silent)
        return self.conv2.joined(self.conv2.convolved(h), residual=residual)


class Block:
    """Attention and a feed-forward network, each behind a norm.

    Attributes:
        width: Of the queries of all heads.
    """

    def __init__(self, read: Read, name: str, dtype: torch.dtype, attention: str) -> None:
        self._attention = attention
        weight = qkv_weight(read, name)
        self.width = len(weight) // 3
        self._heads = self.width // HEAD_DIM
        self._qkv = weight.to(dtype)
        parts = ("norm1", "attn1.to_out.0", "norm3", "ff.net.0.proj", "ff.net.2")
        pairs = [(read(f"{name}{part}.weight").to(dtype), read(f"{name}{part}.bias").to(dtype)) for part in parts]
        self._norm1, self._out, self._norm3, self._up, self._down = pairs

    def __call__(self, x: Tensor, prepared: Prepared) -> Tensor:
        """Compute the block on (frames, channels)."""
        qkv = linear(functional.layer_norm(x, x.shape[1:], *self._norm1), self._qkv)
        x = linear(self._mixed(qkv, prepared), *self._out).add_(x)
        h = functional.gelu(linear(functional.layer_norm(x, x.shape[1:], *self._norm3), *self._up))
        return linear(h, *self._down).add_(x)

    @property
    def first_norm(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the norm before the attention."""
        return self._norm1

    def joined(
        self, x: Tensor, h: Tensor, after: Block | None, prepared: Prepared, keys: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Compute the block.

        Args:
            x: (frames, channels).
            h: Its first norm.
            after: The block behind it, whose first norm is returned; None: the last, whose gaps become silent.
            prepared: As of `__call__`.
            keys: Mask of all frames with their gaps, from `with_gaps`, or None.

        Returns:
            What comes out, and a norm of it.
        """
        qkv = linear(h, self._qkv)
        mixed = self._mixed(qkv, prepared) if keys is None else self._mixed_with_gaps(qkv, keys)
        x, h = add_norm(x, linear(mixed, *self._out), *self._norm3, eps=_EPS)
        h = linear(functional.gelu(linear(h, *self._up)), *self._down)
        norm, silent = (self._norm1, prepared.silent) if after is None else (after.first_norm, None)
        return add_norm(x, h, *norm, silent=silent, eps=_EPS)

    def _mixed_with_gaps(self, qkv: Tensor, keys: Tensor) -> Tensor:
        """Attend as `_mixed` does, of equally long sequences whose gaps are masked: nothing is copied."""
        q, k, v = qkv.view(len(keys), -1, 3, self._heads, HEAD_DIM).permute(2, 0, 3, 1, 4)
        return attend(q, k, v, fused=True, mask=keys).view(len(qkv), -1)

    def _mixed(self, qkv: Tensor, prepared: Prepared) -> Tensor:
        """Attend within each sequence: (frames, 3 * heads * d) -> (frames, heads * d)."""
        packing, mask, width = prepared.layout.packing, prepared.mask, self._heads * HEAD_DIM
        if self._attention.startswith("native") and mask is None:
            return attend_natively(qkv, packing, prepared.layout.gaps, self._heads, exact=self._attention == "native")
        out = qkv.new_empty(len(qkv), width)
        # Masked sequences are all equally long: one call does them all.
        spans = packing.spans if mask is None else packing.spans[:1]
        rows = packing.rows if mask is None else len(mask)
        for begin, length in spans:
            part = slice(begin, begin + rows * (length + GAP))
            split = qkv[part].view(rows, length + GAP, 3, self._heads, HEAD_DIM)[:, :length]
            q, k, v = split.permute(2, 0, 3, 1, 4)  # (rows, n, 3, h, d) -> three of (rows, h, n, d)
            sequence = out[part].view(rows, length + GAP, width)
            sequence[:, :length] = attend(q, k, v, fused=self._attention == "torch", mask=mask)
            sequence[:, length:] = 0
        return out


def qkv_weight(read: Read, name: str) -> Tensor:
    """Return the weight of queries, keys and values in one, float32 (3 * heads * 64, channels).

    The scale of the scores is part of the queries' weight, in float32, before any cast.
    """
    q, k, v = (read(f"{name}attn1.to_{part}.weight") for part in "qkv")
    return torch.cat([q * (QUERY_SCALE / math.sqrt(HEAD_DIM)), k, v])


def attend_natively(qkv: Tensor, packing: Packing, gaps: Tensor, heads: int, *, exact: bool) -> Tensor:
    """Attend within each sequence by realtts-native: (frames, 3 * heads * 64) -> (frames, heads * 64)."""
    out = qkv.new_empty(len(qkv), heads * HEAD_DIM)
    attend_packed(qkv, out, heads=heads, spans=packing.sequences, exact=exact)
    return out.index_fill_(0, gaps, 0)


def with_gaps(mask: Tensor) -> Tensor:
    """Lengthen a mask (rows, 1, 1, frames) by a gap, in memory whose lines begin where attention's kernels want."""
    frames = mask.shape[3] + GAP
    lengthened = functional.pad(mask, (0, GAP + -frames % _ALIGNED), value=float("-inf"))
    return lengthened[..., :frames]
