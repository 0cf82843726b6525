"""Mel filters: the weights of a Fourier transform's bins in mel bands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["slaney_filters", "triangles"]

_LINEAR = 200 / 3
"""Hz of a mel, up to 1000 Hz."""

_BREAK_HZ, _STEP = 1000.0, math.log(6.4) / 27
"""From there on each mel is a step of the logarithm."""


def triangles(corners: Tensor, places: Tensor) -> Tensor:
    """Compute triangular bands, each rising from one corner to the next and falling to the one after, (bands, places).

    Args:
        corners: In ascending order, (bands + 2,).
        places: Places of the bins on the same scale, (places,).
    """
    widths = corners.diff()
    slopes = corners[:, None] - places
    return torch.minimum(-slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]).clamp_(min=0)


def slaney_filters(*, sample_rate: int, fft: int, bands: int, low: float, high: float) -> Tensor:
    """Compute filters as librosa does: Slaney's scale, triangles of equal area, float32 (bands, fft // 2 + 1).

    Args:
        sample_rate: Hz.
        fft: Samples of the transform.
        bands: Mel bands.
        low: Hz at which the first band begins.
        high: Hz at which the last one ends.

    Source: Slaney 1998, Auditory Toolbox.
    """
    bins = torch.arange(fft // 2 + 1, dtype=torch.float64) * (sample_rate / fft)
    mels = torch.linspace(_mel(low), _mel(high), bands + 2, dtype=torch.float64)
    corners = torch.where(
        mels < _mel(_BREAK_HZ), mels * _LINEAR, _BREAK_HZ * torch.exp((mels - _mel(_BREAK_HZ)) * _STEP)
    )
    return (triangles(corners, bins) * (2 / (corners[2:] - corners[:-2]))[:, None]).float()


def _mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _LINEAR
    return _BREAK_HZ / _LINEAR + math.log(hertz / _BREAK_HZ) / _STEP
