"""Sounds that stand for recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["voice_like"]


def voice_like(seconds: float = 3.0, rate: int = 24_000) -> tuple[NDArray[np.float32], int]:
    """Make a voice-like sound: overtones of a pitch around 120 Hz, 2.5 syllables a second, a little noise.

    Args:
        seconds: Its length.
        rate: Samples a second.

    Returns:
        Samples with a peak of 0.3, float32 (seconds * rate,), and the rate: what ``voice=`` takes.
    """
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * time)) / rate
    glottal = sum(np.sin(k * phase) / k for k in range(1, 25))
    wave = glottal * (0.55 - 0.45 * np.cos(2 * np.pi * 2.5 * time))
    wave += 0.01 * np.random.default_rng(0).standard_normal(len(wave))
    return np.asarray(0.3 * wave / np.abs(wave).max(), np.float32), rate
