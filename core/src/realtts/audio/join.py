"""Pieces of speech joined without clicks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Joiner"]

Samples = NDArray[np.float32]

_NOTHING = np.zeros(0, np.float32)


class Joiner:
    """Joins streamed pieces with pauses: each inner end fades out, each inner beginning fades in.

    The beginning of the first piece and the end of the last are left alone, so a single piece comes out bit
    by bit as it went in. What comes out does not depend on how the pieces are cut into chunks.

    Args:
        sample_rate: Hz.
        fade_s: Length of a fade in seconds, short enough not to be heard and long enough not to click; also how long
            the newest audio is held back.
        alone: There is one piece only, which has no seam: nothing of it is held back.
    """

    def __init__(self, sample_rate: int, fade_s: float = 0.005, *, alone: bool = False) -> None:
        self._rate = sample_rate
        length = 0 if alone else max(1, round(fade_s * sample_rate))
        # Raised cosine, without the 0 and the 1 at its ends, which would only repeat what is beside them.
        ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, length + 1) / (length + 1))
        self._rise: Samples = ramp.astype(np.float32)
        self._held: Samples = _NOTHING
        self._position = length  # in the piece; a first piece starts behind its fade-in

    def push(self, samples: Samples) -> Samples:
        """Take the next samples of the piece, of shape (n,); return what can be delivered, of shape (m,)."""
        samples = np.ascontiguousarray(samples, np.float32)
        ramp = self._rise[self._position : self._position + len(samples)]
        if len(ramp):
            samples = samples.copy()
            samples[: len(ramp)] *= ramp
            self._position += len(ramp)
        joined = np.concatenate([self._held, samples])
        cut = max(0, len(joined) - len(self._rise))
        self._held = joined[cut:].copy()
        return joined[:cut]

    def end_piece(self, pause_s: float = 0.0) -> Samples:
        """End the piece, with another one to follow.

        Args:
            pause_s: Seconds of silence before the next piece.

        Returns:
            The faded end of the piece and the silence, of shape (m,).
        """
        held = self._held
        faded = held * self._rise[: len(held)][::-1]
        self._held = _NOTHING
        self._position = 0
        return np.concatenate([faded, np.zeros(round(pause_s * self._rate), np.float32)])

    def finish(self) -> Samples:
        """Return what is held back of the last piece, unchanged."""
        held, self._held = self._held, _NOTHING
        return held
