"""Samples to log mel spectrograms, as F5-TTS's networks and Vocos are trained on."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch

from realtts.accel.layers.mel import triangles
from realtts_f5.constants import FFT, HOP, MELS, RATE

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["log_mel"]

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
    spectrum = torch.stft(samples, FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    return (bands @ spectrum.abs()).clamp_(min=_FLOOR).log_().T.contiguous()  # (100, frames) -> (frames, 100)


@functools.cache
def _tables() -> tuple[Tensor, Tensor]:
    """Return Hann's window, (1024,), and the bands, triangles in HTK's mels without a norm, (100, 513)."""
    with torch.inference_mode(False):  # they are kept, and may be used outside of it
        return torch.hann_window(FFT), _bands()


def _bands() -> Tensor:
    """Compute the bands, (100, 513)."""
    hertz = torch.linspace(0, RATE // 2, FFT // 2 + 1)
    greatest = 2595.0 * math.log10(1.0 + RATE / 2 / 700.0)
    corners = 700.0 * (10.0 ** (torch.linspace(0, greatest, MELS + 2) / 2595.0) - 1.0)
    return triangles(corners, hertz)
