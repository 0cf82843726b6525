"""Layers of the codec's decoder over (rows, frames, channels): products, convolutions, norms and the last transform.

Rows of a batch may be padded: what lies beyond a row's end is zero where a layer looks past its own frame, and is left
out of sums over frames, so that a row's frames are what they are without padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.kernels import Dense
from realtts_vieneu.codec_sizes import GROUPS

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.weights.state_reader import StateReader

__all__ = ["Conv", "Extent", "ResNet", "Waves"]

_NORM_EPS = 1e-6
_LOUDEST, _SMALLEST = 1e2, 1e-11


class Extent:
    """Where the rows of a padded batch end.

    Args:
        lengths: Frames of each row, int64 (rows,), each at least 1.
        frames: What they are padded to.

    Attributes:
        real: 1 where a frame is a row's own and 0 behind it, float32 (rows, frames, 1).
        lengths: Float32 (rows, 1, 1).
        keys: Which frames attention sees: 0, or minus infinity behind a row's end, float32 (rows, 1, 1, frames).
    """

    def __init__(self, lengths: Tensor, frames: int) -> None:
        inside = torch.arange(frames, device=lengths.device) < lengths[:, None]
        self.real = inside[:, :, None].float()
        self.lengths = lengths[:, None, None].float()
        self.keys = torch.zeros_like(inside, dtype=torch.float32).masked_fill_(~inside, -torch.inf)[:, None, None]


class Conv:
    """A convolution that sees as many frames on either side, zeros beyond the ends, as a product over copied windows.

    Args:
        weight: As Conv1d keeps it, (out, in, kernel); the kernel is odd.
        bias: (out,).
        dtype: To compute in.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self._kernel, self._channels, self._dtype = weight.shape[2], weight.shape[1], dtype
        self._product = Dense(weight.transpose(1, 2).flatten(1), bias, dtype)

    def place(self, rows: int, frames: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """What the windows are cut from, zeros at its ends, and the part in which the input belongs."""
        side = self._kernel // 2
        whole = torch.empty(rows, frames + 2 * side, self._channels, dtype=self._dtype, device=device)
        whole[:, :side] = 0
        whole[:, frames + side :] = 0
        return whole, whole[:, side : frames + side]

    def __call__(self, whole: Tensor) -> Tensor:
        """From `place`, filled, to (rows, frames, out)."""
        rows, length, channels = whole.shape
        shape = (rows, length - self._kernel + 1, self._kernel, channels)
        windows = whole.as_strided(shape, (length * channels, channels, channels, 1))
        return self._product(windows.flatten(2))


class _Norm:
    """Groups of channels normed over all frames of a row, then SiLU, float32."""

    def __init__(self, tensors: StateReader, name: str, channels: int) -> None:
        self._weight, self._bias = tensors.both(name, channels)

    def __call__(self, x: Tensor, extent: Extent | None, out: Tensor) -> None:
        """(rows, frames, channels), written where it is wanted."""
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
    """Twice a norm and a convolution of three frames, beside the input."""

    def __init__(self, tensors: StateReader, name: str, channels: int, dtype: torch.dtype) -> None:
        self._norms = [_Norm(tensors, f"{name}.norm{n}", channels) for n in (1, 2)]
        self._convs = [Conv(*tensors.pair(f"{name}.conv{n}", channels, channels, 3), dtype) for n in (1, 2)]

    def __call__(self, x: Tensor, extent: Extent | None) -> Tensor:
        """float32 (rows, frames, channels) to the same."""
        h = x
        for norm, conv in zip(self._norms, self._convs, strict=True):
            whole, inside = conv.place(len(x), x.shape[1], x.device)
            norm(h, extent, inside)
            h = conv(whole).float()
        return h + x


class Waves:
    """The last layer: a spectrum of each frame, and its waves put over each other, always in float32.

    Source: Vocos (Siuzdak, 2023, arXiv:2306.00814), with as many samples as frames times hop.

    Args:
        tensors: Of the decoder.
        name: Of the layer.
        channels: Of its input.
        hop: Samples from frame to frame; a window has four times as many.
    """

    def __init__(self, tensors: StateReader, name: str, channels: int, hop: int) -> None:
        self._hop, self._fft = hop, 4 * hop
        self._spectrum = Dense(*tensors.pair(f"{name}.linear", self._fft + 2, channels), torch.float32)
        device = tensors.device
        self._window = torch.hann_window(self._fft, device=device)
        self._power = self._window.square()

    def __call__(self, x: Tensor, extent: Extent | None) -> Tensor:
        """float32 (rows, frames, channels) to samples, float32 (rows, frames * hop)."""
        rows, frames = x.shape[:2]
        size, phase = self._spectrum(x).chunk(2, 2)
        spectrum = torch.polar(size.exp().clamp_(max=_LOUDEST), phase.contiguous())
        waves = torch.fft.irfft(spectrum, self._fft, norm="backward") * self._window
        power = self._power.view(1, 1, 4, self._hop).expand(1, frames, 4, self._hop)
        if extent is not None:
            waves = waves * extent.real
            power = power * extent.real[..., None]
        summed = _overlapped(waves.view(rows, frames, 4, self._hop)) / _overlapped(power).clamp_(min=_SMALLEST)
        cut = (self._fft - self._hop) // 2
        return summed[:, cut:-cut]


def _overlapped(quarters: Tensor) -> Tensor:
    """(rows, frames, 4, hop), each quarter beginning a hop behind the one before it, to (rows, (frames + 3) * hop)."""
    rows, frames, parts, hop = quarters.shape
    whole = quarters.new_zeros(rows, frames + parts - 1, hop)
    for part in range(parts):
        whole[:, part : part + frames] += quarters[:, :, part]
    return whole.flatten(1)


def _moments(x: Tensor, extent: Extent | None) -> tuple[Tensor, Tensor]:
    """Mean and variance of each group over a row's frames, for each channel: (rows, 1, channels)."""
    grouped = x.unflatten(2, (GROUPS, -1))
    each = grouped.shape[3]
    if extent is None:
        variance, mean = torch.var_mean(grouped, (1, 3), correction=0)
    else:
        real, count = extent.real[..., None], extent.lengths[:, :, 0] * each
        mean = (grouped * real).sum((1, 3)) / count
        variance = ((grouped - mean[:, None, :, None]) * real).square().sum((1, 3)) / count
    return mean.repeat_interleave(each, 1)[:, None], variance.repeat_interleave(each, 1)[:, None]
