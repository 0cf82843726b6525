"""Samples to log mel spectrograms, as F5-TTS's networks and Vocos are trained on."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch

from realtts_f5.sizes import MELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HOP", "RATE", "log_mel"]

RATE = 24_000
HOP = 256

_FFT = 1024
_FLOOR = 1e-5


@torch.inference_mode()
def log_mel(samples: Tensor) -> Tensor:
    """Compute the spectrogram.

    Args:
        samples: 24 kHz, float32 (n,), more than 512.

    Returns:
        float32 (1 + n // 256, 100).
    """
    window, bands = (table.to(samples.device) for table in _tables())
    spectrum = torch.stft(samples, _FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    return (bands @ spectrum.abs()).clamp_(min=_FLOOR).log_().T.contiguous()


@functools.cache
def _tables() -> tuple[Tensor, Tensor]:
    """Hann's window and the bands, triangles in HTK's mels without a norm, (100, 513)."""
    with torch.inference_mode(False):
        return torch.hann_window(_FFT), _bands()


def _bands() -> Tensor:
    hertz = torch.linspace(0, RATE // 2, _FFT // 2 + 1)
    greatest = 2595.0 * math.log10(1.0 + RATE / 2 / 700.0)
    corners = 700.0 * (10.0 ** (torch.linspace(0, greatest, MELS + 2) / 2595.0) - 1.0)
    width = corners.diff()
    slopes = corners[:, None] - hertz
    rising, falling = -slopes[:-2] / width[:-1, None], slopes[2:] / width[1:, None]
    return torch.minimum(rising, falling).clamp_(min=0.0)
