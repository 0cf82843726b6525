"""Loudness of audio."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["clipped_fraction", "is_silent", "peak", "rms_dbfs"]

# The largest 16-bit sample is 32767/32768 = 0.99997. Any lower and a clean tone at full scale would count as
# clipped.
_FULL_SCALE = 0.99995


def peak(samples: NDArray[np.float32]) -> float:
    """Return the largest absolute value; 0.0 without samples."""
    if not len(samples):
        return 0.0
    return max(float(samples.max()), -float(samples.min()))


def rms_dbfs(samples: NDArray[np.float32]) -> float:
    """Return the root mean square in dB relative to full scale (1.0); ``-inf`` for silence and without samples."""
    if not len(samples):
        return -math.inf
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10 * math.log10(power) if power > 0 else -math.inf


def is_silent(samples: NDArray[np.float32], threshold_dbfs: float = -60.0) -> bool:
    """Tell whether no sample is louder than a threshold in dB relative to full scale."""
    return peak(samples) <= 10 ** (threshold_dbfs / 20)


def clipped_fraction(samples: NDArray[np.float32]) -> float:
    """Return the share of samples at full scale or beyond, from 0.0 to 1.0; 0.0 without samples."""
    if not len(samples):
        return 0.0
    return float(np.mean(np.abs(samples) >= _FULL_SCALE))
