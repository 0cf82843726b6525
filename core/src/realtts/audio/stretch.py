"""Faster or slower speech at the same pitch.

WSOLA (Verhelst and Roelands, 1993): windows of the input are laid over one another at another distance, each
moved a little to where it continues the one before best. The library `python-stretch` was tried first: its
0.3.1 resets itself in every call, so a stream comes out with a dip of up to 60 % at each block, and its
output depends on the blocks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stretcher", "stretch"]

Samples = NDArray[np.float32]

_WINDOW_S = 0.030  # two periods of a deep voice
_SEARCH_S = 0.010  # either side: one period of a voice of 50 Hz in all
_NOTHING = np.zeros(0, np.float32)


class Stretcher:
    """Changes the speed of a stream; n samples become exactly ``round(n / speed)``.

    What comes out does not depend on how the input is cut into chunks, and what was said at second t is heard
    at second ``t / speed``. A speed of 1 returns the samples as they are.

    Args:
        sample_rate: Hz.
        speed: 0.25 to 4; 2 is twice as fast.

    Raises:
        ValueError: The speed is out of range.
    """

    def __init__(self, sample_rate: int, speed: float) -> None:
        if not 0.25 <= speed <= 4:
            raise ValueError(f"speed must be from 0.25 to 4, not {speed}")
        self._speed = speed
        self._hop = max(1, round(_WINDOW_S * sample_rate / 2))
        self._search = max(1, round(_SEARCH_S * sample_rate))
        ramp = np.sin(0.5 * np.pi * np.arange(self._hop) / self._hop) ** 2
        self._rise: Samples = ramp.astype(np.float32)
        offsets = np.arange(-self._search, self._search + 1) / self._search
        # Of equally good places the nearest wins; the tilt decides between two at the same distance.
        self._distance = 1e-3 * (offsets**2 + 1e-3 * offsets)
        # The input from `_origin` on, with silence before its first sample.
        self._buffer: Samples = np.zeros(self._hop + self._search, np.float32)
        self._origin = -len(self._buffer)
        self._taken = 0
        self._frame = 0
        self._follow = 0  # where the input goes on, behind what the last window laid down
        self._delivered = 0

    def push(self, samples: Samples) -> Samples:
        """Take the next samples, of shape (n,); return what can be delivered, of shape (m,)."""
        samples = np.ascontiguousarray(samples, np.float32)
        if self._speed == 1:
            return samples
        self._taken += len(samples)
        return self._advance(samples)

    def finish(self) -> Samples:
        """Return the rest."""
        if self._speed == 1:
            return _NOTHING
        total = round(self._taken / self._speed)
        # Silence enough for the window that is centred on the end, and for the search around it.
        silence = 3 * self._hop + 2 * self._search + round(2 * self._hop * self._speed)
        rest = total - self._delivered
        return self._advance(np.zeros(silence, np.float32))[:rest]

    def _advance(self, samples: Samples) -> Samples:
        self._buffer = np.concatenate([self._buffer, samples])
        end = self._origin + len(self._buffer)
        parts: list[Samples] = []
        while max(self._centre() + self._search, self._follow) + self._hop <= end:
            parts.append(self._lay())
        self._forget()
        out = np.concatenate(parts) if parts else _NOTHING
        self._delivered += len(out)
        return out

    def _centre(self) -> int:
        """Return where the next window would be centred in the input if it did not have to fit."""
        return round(self._frame * self._hop * self._speed)

    def _lay(self) -> Samples:
        """Lay the next window over the one before; return the hop that this completes, if any."""
        if self._frame == 0:
            self._frame = 1
            return _NOTHING
        centre = self._centre() + self._best_offset()
        falling = self._input(self._follow, self._hop)
        rising = self._input(centre - self._hop, self._hop)
        self._frame += 1
        self._follow = centre
        return falling + (rising - falling) * self._rise

    def _best_offset(self) -> int:
        """Return the offset from its centre at which the next window continues the one before best."""
        target = self._input(self._follow, self._hop)
        start = self._centre() - self._hop - self._search
        around = self._input(start, self._hop + 2 * self._search)
        likeness = np.correlate(around, target, "valid").astype(np.float64)
        power = np.concatenate([[0.0], np.cumsum(np.square(around, dtype=np.float64))])
        energy = power[self._hop :] - power[: -self._hop]
        scale = np.sqrt(energy * float(np.sum(np.square(target, dtype=np.float64)))) + 1e-9
        return int(np.argmax(likeness / scale - self._distance)) - self._search

    def _input(self, start: int, length: int) -> Samples:
        at = start - self._origin
        return self._buffer[at : at + length]

    def _forget(self) -> None:
        """Drop what no later window can reach."""
        keep = min(self._centre() - self._hop - self._search, self._follow)
        at = max(0, keep - self._origin)
        self._buffer = self._buffer[at:].copy()
        self._origin += at


def stretch(samples: Samples, sample_rate: int, speed: float) -> Samples:
    """Change the speed of whole audio, the pitch kept.

    Args:
        samples: float32 of shape (n,).
        sample_rate: Hz.
        speed: 0.25 to 4; 2 is twice as fast.

    Returns:
        float32 of shape (round(n / speed),).

    Raises:
        ValueError: The speed is out of range.
    """
    stretcher = Stretcher(sample_rate, speed)
    return np.concatenate([stretcher.push(samples), stretcher.finish()])
