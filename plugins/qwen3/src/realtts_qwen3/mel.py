"""Mel filters as librosa computes them: Slaney's scale, triangles of equal area."""

from __future__ import annotations

import math

import torch

__all__ = ["mel_filters"]

_LINEAR = 200 / 3
"""Hz of a mel, up to 1000 Hz."""

_BREAK_HZ, _STEP = 1000.0, math.log(6.4) / 27
"""From there on each mel is a step of the logarithm."""


def mel_filters(*, sample_rate: int, fft: int, bands: int, low: float, high: float) -> torch.Tensor:
    """Weights of the FFT's bins in each band.

    Args:
        sample_rate: Hz.
        fft: Samples of the transform.
        bands: Mel bands.
        low: Hz at which the first band begins.
        high: Hz at which the last one ends.

    Returns:
        float32 (bands, fft // 2 + 1).

    Source: Slaney 1998, Auditory Toolbox.
    """
    bins = torch.arange(fft // 2 + 1, dtype=torch.float64) * (sample_rate / fft)
    mels = torch.linspace(_mel(low), _mel(high), bands + 2, dtype=torch.float64)
    corners = torch.where(
        mels < _mel(_BREAK_HZ), mels * _LINEAR, _BREAK_HZ * torch.exp((mels - _mel(_BREAK_HZ)) * _STEP)
    )
    widths = corners.diff()
    slopes = corners[:, None] - bins
    rising, falling = -slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * (2 / (corners[2:] - corners[:-2]))[:, None]).float()


def _mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _LINEAR
    return _BREAK_HZ / _LINEAR + math.log(hertz / _BREAK_HZ) / _STEP
