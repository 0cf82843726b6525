"""The codec: every token is 40 ms of a sine, and the phase runs on from one to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["RATE", "SAMPLES_PER_TOKEN", "Codec"]

RATE = 24_000
SAMPLES_PER_TOKEN = 960
_LOWEST_HZ = 110.0
_TOKENS_PER_OCTAVE = 85
_PEAK = 0.3


class Codec:
    """The decoder of one request's tokens to sound.

    It is causal: what it needs to know of the past is the phase, so the pieces of a stream are those of the whole.
    """

    def __init__(self) -> None:
        self._phase = 0.0

    def decode(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Return the next tokens' sound, float32 of shape (n * `SAMPLES_PER_TOKEN`,)."""
        hertz = _LOWEST_HZ * 2 ** (np.asarray(tokens, np.float64) / _TOKENS_PER_OCTAVE)
        phase = self._phase + np.cumsum(np.repeat(2 * np.pi * hertz / RATE, SAMPLES_PER_TOKEN))
        if len(phase):
            self._phase = float(phase[-1] % (2 * np.pi))
        return (_PEAK * np.sin(phase)).astype(np.float32)
