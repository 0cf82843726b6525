"""Inputs of the codec's encoder: a recording padded to whole frames, and its mel spectrogram as Kaldi computes it.

Source: transformers' ``NeuCodecFeatureExtractor``, which takes torchaudio's ``kaldi.fbank``; here the same is computed
in the same order, without torchaudio.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

from realtts.accel.layers.mel import triangles
from realtts_vieneu.constants import ENCODER_RATE

__all__ = ["features_of", "padded"]

_WINDOW, _HOP, _FFT, _MELS = 400, 160, 512, 80
_LOWEST_HZ = 20.0
_EMPHASIS = 0.97
_LOUDNESS = 2.0**15
"""Kaldi's samples are 16 bits wide."""

_SMALLEST = 1e-7


def padded(samples: Tensor, frame: int) -> Tensor:
    """Pad samples with zeros to whole frames, by at least one zero.

    Args:
        samples: (n,).
        frame: Samples of a frame.

    Returns:
        (m,), m the next multiple of ``frame`` above n.
    """
    return functional.pad(samples, (0, frame - len(samples) % frame))


def features_of(samples: Tensor) -> Tensor:
    """Compute the mel spectrogram, each band with mean 0 and variance 1, two frames of 10 ms beside each other.

    Args:
        samples: float32 (m,), 16 kHz, in [-1, 1]; at least 560.

    Returns:
        float32 (frames of 20 ms, 160).
    """
    frames = (samples * _LOUDNESS).unfold(0, _WINDOW, _HOP)  # (m,) -> (frames, window)
    frames = frames - frames.mean(1, keepdim=True)
    before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
    frames = (frames - _EMPHASIS * before) * _window(samples.device)
    power = torch.fft.rfft(frames, _FFT).abs().square()
    mel = torch.mm(power, _bands(samples.device)).clamp_(min=torch.finfo(torch.float32).eps).log()
    mel = (mel - mel.mean(0)) / torch.sqrt(mel.var(0, unbiased=True) + _SMALLEST)
    return mel[: len(mel) // 2 * 2].reshape(-1, 2 * _MELS)  # (frames of 10 ms, mels) -> (frames of 20 ms, 2 mels)


def _window(device: torch.device) -> Tensor:
    """Return Povey's window, a Hann window to the power of 0.85."""
    return torch.hann_window(_WINDOW, periodic=False, device=device).pow(0.85)


def _bands(device: torch.device) -> Tensor:
    """Return triangles of equal width on the mel scale, (257, 80)."""
    return _triangles().to(device)


@functools.cache
def _triangles() -> Tensor:
    low, high = _mel(_LOWEST_HZ), _mel(ENCODER_RATE / 2)
    step = (high - low) / (_MELS + 1)
    mel = 1127.0 * (1.0 + ENCODER_RATE / _FFT * torch.arange(_FFT // 2) / 700.0).log()
    heights = triangles(low + torch.arange(_MELS + 2) * step, mel)
    return functional.pad(heights, (0, 1)).t().contiguous()


def _mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)
