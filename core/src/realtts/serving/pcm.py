"""Samples as the bytes that most protocols carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["int16_bytes"]


def int16_bytes(samples: NDArray[np.float32]) -> bytes:
    """Return samples in [-1, 1] as signed 16 bit little-endian integers."""
    scaled: NDArray[np.int16] = (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2")
    return scaled.tobytes()
