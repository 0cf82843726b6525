"""The codec's causal layers over (rows, frames, channels): each takes a piece and stores what the next piece needs.

A causal convolution needs the frames that its kernel looks back. A transposed one of kernel 2 s and stride s, cut at
its end as upstream does, is a causal convolution of kernel 2 with s times the channels, whose output is read as s
frames: so its overlap, too, is a frame of context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from realtts.accel.kernels import Dense, DenseLayers
    from realtts.accel.weights.state_reader import StateReader
    from realtts_qwen3.codec_state import Layout

    Past = Sequence[Tensor]
    Write = Callable[[Tensor, Tensor], None]

__all__ = ["CausalConv", "ConvNeXt", "LastConv", "ResidualUnit", "Snake", "upsampling"]

_NORM_EPS = 1e-6
_NO_ZERO = 1e-9


class CausalConv:
    """A convolution that sees its own frame and those before it; zeros stand before the first.

    On the CPU it is best done as a product over copied windows with packed weights: torch's convolution reorders its
    weights at each call (measured for 32 frames: 768 to 768 channels, kernel 7, 1.9 instead of 0.7 ms in bfloat16 and
    5.1 instead of 1.6 in float32; 1536 to 6144 channels, kernel 2, up to 22 instead of 1.1 ms).

    Args:
        weight: In Conv1d's layout, (out, in, kernel).
        bias: (out,).
        layout: Reserves the place of the context.
        products: Casts and packs the product, and says in which dtype to compute.
        dilation: Frames from tap to tap.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, layout: Layout, products: DenseLayers, *, dilation: int = 1
    ) -> None:
        outside, channels, self._kernel = weight.shape
        self._dtype, self._dilation = products.dtype, dilation
        self._back = (self._kernel - 1) * dilation
        self._slot = layout.add(self._back, channels) if self._back else None
        flat = weight.transpose(1, 2).reshape(outside, -1)  # (out, in, kernel) -> (out, kernel * in), as windows lie
        self._product: Dense | None = None
        if self._slot is None or not layout.convolve:
            self._product = products.add(flat, bias)
        else:
            # The kernel of a convolution over images one line high, channels last: (out, in, 1, kernel).
            # Detached, so that torch does not count it as a view, whose memory offloading could not swap.
            image = flat.to(self._dtype).view(outside, 1, self._kernel, channels).permute(0, 3, 1, 2)
            self._image = image.detach()
            self._bias = None if bias is None else bias.to(self._dtype)

    def __call__(self, x: Tensor, past: Past, write: Write | None = None) -> Tensor:
        """(rows, frames, in) to (rows, frames, out); ``write(x, out)`` may change the input on its way in."""
        joined = self._joined(x, past, write)
        if self._product is not None:
            return self._product(self._windows(joined, x.shape[1]))
        image = joined.unsqueeze(1).permute(0, 3, 1, 2)  # (rows, length, in) -> (rows, in, 1, length)
        done = functional.conv2d(image, self._image, self._bias, dilation=(1, self._dilation))
        return done.permute(0, 2, 3, 1).squeeze(1)  # (rows, out, 1, frames) -> (rows, frames, out)

    def _joined(self, x: Tensor, past: Past, write: Write | None) -> Tensor:
        """Put the context before the input, (rows, back + frames, in), and move the context on."""
        rows, frames, channels = x.shape
        joined = x.new_empty(rows, self._back + frames, channels, dtype=self._dtype)
        # Written straight to its place: an activation and the copy are one pass over memory.
        (write or _copy)(x, joined[:, self._back :])
        if self._slot is not None:
            context = past[self._slot]
            joined[:, : self._back] = context
            context.copy_(joined[:, frames:])
        return joined

    def _windows(self, joined: Tensor, frames: int) -> Tensor:
        """Return what each output frame sees, (rows, frames, kernel * in)."""
        rows, length, channels = joined.shape
        strides = (length * channels, channels, self._dilation * channels, 1)
        # A view of overlapping windows (rows, frames, kernel, in); the one copy is made by flattening the last two.
        return joined.as_strided((rows, frames, self._kernel, channels), strides).flatten(2)


class LastConv:
    """The convolution that makes samples, in float32: one output channel is too narrow for torch's to be fast.

    Args:
        weight: (1, in, kernel).
        bias: (1,).
        layout: Reserves the place of the context.
        products: Packs the taps.
    """

    def __init__(self, weight: Tensor, bias: Tensor, layout: Layout, products: DenseLayers) -> None:
        self._kernel = weight.shape[2]
        self._back, self._slot = self._kernel - 1, layout.add(self._kernel - 1, weight.shape[1])
        self._taps, self._bias = products.add(weight[0].t(), dtype=torch.float32), bias

    def __call__(self, x: Tensor, past: Past) -> Tensor:
        """(rows, frames, in) to samples, float32 (rows, frames)."""
        rows, frames = x.shape[:2]
        context = past[self._slot]
        joined = torch.cat([context.float(), x.float()], 1)
        context.copy_(joined[:, frames:])
        taps = self._taps(joined)  # (rows, back + frames, in) -> (rows, back + frames, kernel)
        # Frame t is the sum of what tap k made of frame t + k: the diagonals as a view (rows, frames, kernel).
        length, kernel = frames + self._back, self._kernel
        diagonals = taps.as_strided((rows, frames, kernel), (length * kernel, kernel, kernel + 1))
        return diagonals.sum(2).add_(self._bias)


class Snake:
    """``x + sin(a x)**2 / b`` with a frequency a and a magnitude b for each channel; the file has their logarithms.

    Source: Ziyin et al. 2020, with the second parameter of BigVGAN.
    """

    def __init__(self, tensors: StateReader, name: str, channels: int, dtype: torch.dtype) -> None:
        self._rate = tensors.take(f"{name}.alpha", channels).exp().to(dtype)
        # 1 / sqrt(b), squared together with the sine: one pass less than a division.
        self._size = (tensors.take(f"{name}.beta", channels).exp() + _NO_ZERO).rsqrt().to(dtype)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        """Write the activation of ``x`` to ``out``, which may be ``x`` itself."""
        wave = (x * self._rate).sin_().mul_(self._size)
        torch.addcmul(x, wave, wave, out=out)


class ResidualUnit:
    """Snake, dilated convolution of 7, snake, convolution of 1, beside the input."""

    def __init__(
        self, tensors: StateReader, name: str, channels: int, layout: Layout, *, products: DenseLayers, dilation: int
    ) -> None:
        self._acts = [Snake(tensors, f"{name}.act{n}", channels, products.dtype) for n in (1, 2)]
        conv = tensors.pair(f"{name}.conv1.conv", channels, channels, 7)
        self._conv = CausalConv(*conv, layout, products, dilation=dilation)
        weight, bias = tensors.pair(f"{name}.conv2.conv", channels, channels, 1)
        self._mix = products.add(weight[:, :, 0], bias)

    def __call__(self, x: Tensor, past: Past) -> Tensor:
        """(rows, frames, channels) to the same."""
        h = self._conv(x, past, self._acts[0])
        self._acts[1](h, h)
        return self._mix(h).add_(x)


class ConvNeXt:
    """A convolution of 7 in each channel and a network of two layers over channels, beside the input, in float32.

    Source: Liu et al. 2022; the layers' products are in the given dtype.
    """

    def __init__(self, tensors: StateReader, name: str, channels: int, layout: Layout, products: DenseLayers) -> None:
        weight = tensors.take(f"{name}.dwconv.conv.weight", channels, 1, 7)
        self._conv_bias = tensors.take(f"{name}.dwconv.conv.bias", channels)
        self._taps = weight[:, 0].t().contiguous()  # (channels, 1, 7) -> (7, channels)
        self._back, self._slot = 6, layout.add(6, channels)
        self._norm = tensors.take(f"{name}.norm.weight", channels), tensors.take(f"{name}.norm.bias", channels)
        up, up_bias = tensors.pair(f"{name}.pwconv1", 4 * channels, channels)
        down, down_bias = tensors.pair(f"{name}.pwconv2", channels, 4 * channels)
        gamma = tensors.take(f"{name}.gamma", channels)
        assert down_bias is not None
        self._up = products.add(up, up_bias)
        # The scale behind the product is part of its weights: one pass over the result less.
        self._down = products.add(gamma[:, None] * down, gamma * down_bias)
        self._dtype = products.dtype

    def __call__(self, x: Tensor, past: Past) -> Tensor:
        """float32 (rows, frames, channels) to the same."""
        frames, channels = x.shape[1:]
        context = past[self._slot]
        joined = torch.cat([context.float(), x], 1)
        context.copy_(joined[:, frames:])
        windows = joined.unfold(1, self._back + 1, 1).transpose(2, 3)  # -> (rows, frames, 7, channels)
        h = windows.mul(self._taps).sum(2).add_(self._conv_bias)
        h = functional.layer_norm(h, (channels,), *self._norm, eps=_NORM_EPS).to(self._dtype)
        return self._down(functional.gelu(self._up(h))) + x


def upsampling(
    tensors: StateReader, name: str, sizes: tuple[int, int, int, int], layout: Layout, products: DenseLayers
) -> Callable[..., Tensor]:
    """Read a transposed convolution as a causal one: (rows, frames, in) to (rows, frames * stride, out).

    Args:
        tensors: The decoder's tensors.
        name: Name of the layer.
        sizes: In, out, kernel and stride; the kernel is a multiple of the stride.
        layout: Reserves the place of the context.
        products: Casts and packs the product.
    """
    inside, outside, kernel, stride = sizes
    weight = tensors.take(f"{name}.conv.weight", inside, outside, kernel)
    bias = tensors.take(f"{name}.conv.bias", outside)
    # Tap 0 looks furthest back: (in, out, taps, stride), then (stride * out, in, taps).
    taps = weight.view(inside, outside, kernel // stride, stride).flip(2)
    conv = CausalConv(taps.permute(3, 1, 0, 2).flatten(0, 1), bias.repeat(stride), layout, products)

    def up(x: Tensor, past: Past, write: Write | None = None) -> Tensor:
        # (rows, frames, stride * out) -> (rows, frames * stride, out)
        return conv(x, past, write).reshape(len(x), -1, outside)

    return up


def _copy(x: Tensor, out: Tensor) -> None:
    out.copy_(x)
