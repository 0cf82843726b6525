"""Layers of the codec's decoder over (rows, frames, channels): products, convolutions, norms and the inverse transform.

Rows of a batch may be padded: frames behind a row's end are zero wherever a layer looks past its own frame, and are
left out of sums over frames, so that padding does not change the frames of a row.

A layer is made in two steps. Its constructor reads the weights and casts them; `DenseLayers.pack` then lays them out
for the library that multiplies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts_vieneu.codec_sizes import GROUPS

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.kernels import DenseLayers
    from realtts.accel.weights.state_reader import StateReader

__all__ = ["Conv", "Extent", "ResNet", "Waves"]

_NORM_EPS = 1e-6
_LOUDEST, _SMALLEST = 1e2, 1e-11
"""Largest magnitude of a spectrum, and smallest sum of squared windows that is divided by: upstream's."""


class Extent:
    """Lengths of the rows of a padded batch, in the forms that the layers need.

    Args:
        lengths: Frames of each row, int64 (rows,), each at least 1.
        frames: Number of frames that the rows are padded to.

    Attributes:
        real: 1 for a frame of the row and 0 for padding, float32 (rows, frames, 1).
        lengths: Frames of each row, float32 (rows, 1, 1).
    """

    def __init__(self, lengths: Tensor, frames: int) -> None:
        inside = torch.arange(frames, device=lengths.device) < lengths[:, None]
        self.real = inside[:, :, None].float()
        self.lengths = lengths[:, None, None].float()
        self._hidden = ~inside[:, None, None]
        self._keys: Tensor | None = None

    def keys(self, dtype: torch.dtype) -> Tensor:
        """Return attention's additive mask, made once for all layers: 0, -inf for padding, (rows, 1, 1, frames)."""
        if self._keys is None or self._keys.dtype != dtype:
            self._keys = torch.zeros(self._hidden.shape, dtype=dtype, device=self._hidden.device)
            self._keys.masked_fill_(self._hidden, -torch.inf)
        return self._keys


class Conv:
    """A convolution with zeros beyond the ends, computed as one product over overlapping windows.

    Args:
        weight: As Conv1d keeps it, (out, in, kernel); the kernel is odd, so that it sees as many frames on either side.
        bias: (out,).
        products: Casts and packs the product.
        dtype: Type to compute in; default: that of ``products``.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, products: DenseLayers, dtype: torch.dtype | None = None
    ) -> None:
        self._kernel, self._channels, self._dtype = weight.shape[2], weight.shape[1], dtype or products.dtype
        # (out, in, kernel) -> (out, kernel * in), in the order in which a window's frames lie in memory
        self._product = products.add(weight.transpose(1, 2).flatten(1), bias, dtype=dtype)

    def place(self, rows: int, frames: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Allocate an input with zeros at both ends; returns it, and the part between the zeros, to be filled."""
        side = self._kernel // 2
        whole = torch.empty(rows, frames + 2 * side, self._channels, dtype=self._dtype, device=device)
        whole[:, :side] = 0
        whole[:, frames + side :] = 0
        return whole, whole[:, side : frames + side]

    def __call__(self, whole: Tensor) -> Tensor:
        """Convolve an input that `place` allocated, to (rows, frames, out)."""
        rows, length, channels = whole.shape
        shape = (rows, length - self._kernel + 1, self._kernel, channels)
        # A window begins at every frame, so that windows share memory until `flatten` copies them.
        windows = whole.as_strided(shape, (length * channels, channels, channels, 1))
        return self._product(windows.flatten(2))  # (rows, frames, kernel, in) -> (rows, frames, kernel * in)


class _Norm:
    """Group norm over all frames of a row, and SiLU behind it, in float32."""

    def __init__(self, tensors: StateReader, name: str, channels: int) -> None:
        self._weight, self._bias = tensors.both(name, channels)

    def __call__(self, x: Tensor, extent: Extent | None, out: Tensor) -> None:
        """Write the result, (rows, frames, channels), into `out`, which may be of another type."""
        mean, variance = _moments(x, extent)
        scale = (variance + _NORM_EPS).rsqrt() * self._weight
        shift = self._bias - mean * scale
        normed = functional.silu(torch.addcmul(shift, x, scale), inplace=True)
        if extent is None:
            out.copy_(normed)
        else:
            torch.mul(normed, extent.real, out=normed)
            out.copy_(normed)


class ResNet:
    """A residual block: twice a norm and a convolution over three frames."""

    def __init__(self, tensors: StateReader, name: str, channels: int, products: DenseLayers) -> None:
        self._norms = [_Norm(tensors, f"{name}.norm{n}", channels) for n in (1, 2)]
        self._convs = [Conv(*tensors.pair(f"{name}.conv{n}", channels, channels, 3), products) for n in (1, 2)]

    def __call__(self, x: Tensor, extent: Extent | None) -> Tensor:
        """Map float32 (rows, frames, channels) to the same shape and type."""
        h = x
        for norm, conv in zip(self._norms, self._convs, strict=True):
            whole, inside = conv.place(len(x), x.shape[1], x.device)
            norm(h, extent, inside)
            h = conv(whole).float()
        return h + x


class Waves:
    """The last layer: a spectrum for each frame, inverted and overlap-added to samples, always in float32.

    Source: Vocos (Siuzdak, 2023, arXiv:2306.00814), with as many samples as frames times hop.

    Args:
        tensors: Of the decoder.
        name: Of the layer.
        channels: Of its input.
        hop: Samples from frame to frame; a window has four times as many.
        products: Packs the product.
    """

    def __init__(self, tensors: StateReader, name: str, channels: int, hop: int, products: DenseLayers) -> None:
        self._hop, self._fft = hop, 4 * hop
        weight, bias = tensors.both(f"{name}.linear", self._fft + 2, channels)
        self._product = products.add(weight, bias, dtype=torch.float32)
        device = tensors.device
        self._window = torch.hann_window(self._fft, device=device)
        self._power = self._window.square()

    def __call__(self, x: Tensor, extent: Extent | None) -> Tensor:
        """Map float32 (rows, frames, channels) to samples, float32 (rows, frames * hop)."""
        rows, frames = x.shape[:2]
        size, phase = self._product(x).chunk(2, 2)  # (rows, frames, fft + 2) -> twice (rows, frames, fft / 2 + 1)
        spectrum = torch.polar(size.exp().clamp_(max=_LOUDEST), phase.contiguous())
        waves = torch.fft.irfft(spectrum, self._fft, norm="backward") * self._window
        power = self._power.view(1, 1, 4, self._hop).expand(1, frames, 4, self._hop)
        if extent is not None:
            waves = waves * extent.real
            power = power * extent.real[..., None]
        summed = _overlapped(waves.view(rows, frames, 4, self._hop)) / _overlapped(power).clamp_(min=_SMALLEST)
        cut = (self._fft - self._hop) // 2  # the first and the last window reach beyond the speech
        return summed[:, cut:-cut]


def _overlapped(quarters: Tensor) -> Tensor:
    """Overlap-add windows in quarters, a hop apart: (rows, frames, 4, hop) to (rows, (frames + 3) * hop)."""
    rows, frames, parts, hop = quarters.shape
    whole = quarters.new_zeros(rows, frames + parts - 1, hop)
    for part in range(parts):
        whole[:, part : part + frames] += quarters[:, :, part]
    return whole.flatten(1)


def _moments(x: Tensor, extent: Extent | None) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each group over a row's frames, for each channel: (rows, 1, channels)."""
    grouped = x.unflatten(2, (GROUPS, -1))  # (rows, frames, channels) -> (rows, frames, groups, channels of a group)
    each = grouped.shape[3]
    if extent is None:
        variance, mean = torch.var_mean(grouped, (1, 3), correction=0)
    else:
        real, count = extent.real[..., None], extent.lengths[:, :, 0] * each
        mean = (grouped * real).sum((1, 3)) / count
        variance = ((grouped - mean[:, None, :, None]) * real).square().sum((1, 3)) / count
    return mean.repeat_interleave(each, 1)[:, None], variance.repeat_interleave(each, 1)[:, None]
