"""Resampling (SoX resampler, high quality)."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

__all__ = ["Resampler", "resample"]

Samples = NDArray[np.float32]


class Resampler:
    """Resamples a stream; all outputs together equal the whole audio resampled at once.

    Args:
        source_rate: Hz of what is pushed.
        target_rate: Hz of what comes out.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._ratio = target_rate / source_rate
        self._stream = (
            None if source_rate == target_rate else soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32")
        )
        self._taken = 0
        self._delivered = 0

    def push(self, samples: Samples) -> Samples:
        """Take the next samples, of shape (n,); return what can be delivered, of shape (m,)."""
        samples = np.ascontiguousarray(samples, np.float32)
        if self._stream is None or not len(samples):
            return samples
        self._taken += len(samples)
        out: Samples = self._stream.resample_chunk(samples)
        self._delivered += len(out)
        return out

    def finish(self) -> Samples:
        """Return the rest, so that the total is ``round(n * target_rate / source_rate)`` samples."""
        if self._stream is None or not self._taken:
            return np.zeros(0, np.float32)
        rest: Samples = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        missing = round(self._taken * self._ratio) - self._delivered - len(rest)
        # soxr rounds the length its own way: at most a sample more or less.
        return np.pad(rest, (0, missing)) if missing > 0 else rest[: len(rest) + missing]


def resample(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """Resample whole audio.

    Args:
        samples: float32 of shape (n,).
        source_rate: Hz of ``samples``.
        target_rate: Hz wanted.

    Returns:
        float32 of shape (round(n * target_rate / source_rate),).
    """
    resampler = Resampler(source_rate, target_rate)
    return np.concatenate([resampler.push(samples), resampler.finish()])
