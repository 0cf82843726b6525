"""Whether there is anything in a recording that could be speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BAND", "has_speech", "other_sound_hz"]

BAND = (80.0, 8000.0)
"""Hz between which speech lies: voices begin at about 80 Hz, and whispers lie between 1 and 8 kHz."""

_FRAME_S = 0.25
_CLICK_SHARE = 0.95
"""Of the changes in a frame; the sharpest of what people say leaves more around it."""

_WINDOW_GAIN = 3.4
"""How many times the power of a frame can be with the window over it."""


def has_speech(samples: NDArray[np.float32], rate: int, threshold_dbfs: float) -> bool:
    """Tell whether a quarter of a second is louder than a threshold, of what lies between 80 Hz and 8 kHz.

    Args:
        samples: float32 of shape (n,).
        rate: Hz.
        threshold_dbfs: Root mean square in dB relative to full scale (1.0).
    """
    frames = _frames(samples, rate)
    threshold = 10 ** (threshold_dbfs / 10)
    powers = np.array([float(np.dot(frame, frame)) / len(frame) for frame in frames])
    frequencies = np.fft.rfftfreq(frames.shape[1], 1 / rate)
    inside = (frequencies >= BAND[0]) & (frequencies <= BAND[1])
    # The loudest first: of speech one frame is enough to tell.
    for number in np.argsort(-powers):
        if powers[number] * _WINDOW_GAIN <= threshold:
            return False
        if _spectrum(frames[number])[inside].sum() > threshold and not _is_click(frames[number], rate):
            return True
    return False


def other_sound_hz(samples: NDArray[np.float32], rate: int, threshold_dbfs: float) -> float | None:
    """Return the frequency of the loudest sound outside 80 Hz to 8 kHz; None: there is none above the threshold.

    Args:
        samples: float32 of shape (n,).
        rate: Hz.
        threshold_dbfs: Root mean square in dB relative to full scale (1.0).
    """
    frames = _frames(samples, rate)
    if not len(frames):
        return None
    spectrum = _spectrum(max(frames, key=lambda frame: float(np.dot(frame, frame))))
    hertz = float(spectrum.argmax() * rate / frames.shape[1])
    return hertz if spectrum.sum() > 10 ** (threshold_dbfs / 10) and not BAND[0] <= hertz <= BAND[1] else None


def _is_click(frame: NDArray[np.float32], rate: int) -> bool:
    """Tell whether all changes of a frame come within 10 ms: a click, or a step from one constant to another."""
    size = max(1, rate // 100)
    changes = np.square(np.diff(frame.astype(np.float64)))
    blocks = changes[: len(changes) // size * size].reshape(-1, size).sum(axis=1)
    two = blocks[:-1] + blocks[1:]  # it may lie on a border
    return len(two) > 2 and bool(two.max() > _CLICK_SHARE * changes.sum())


def _frames(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Cut a recording without its constant into frames that overlap by half, (frames, samples)."""
    size = max(2, min(2 * round(_FRAME_S * rate / 2), len(samples) // 2 * 2))
    if len(samples) < size:
        return np.zeros((0, size), np.float32)
    return np.lib.stride_tricks.sliding_window_view(samples - samples.mean(), size)[:: size // 2]


def _spectrum(frame: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the power of each frequency; their sum is the mean square under the window."""
    window = np.blackman(len(frame))  # keeps a loud hum below the band out of it
    powers: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(frame * window)))
    powers[1:-1] *= 2
    powers /= len(frame) * np.square(window).sum()
    return powers
