"""Windows in which the vocoder makes sound: where they lie, and what it has to see around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["LATER", "MOST_REACH", "SOON", "reach_of", "windows_of"]

SOON, LATER = (40, 200), (400, 400)
"""Frames of the first window and of the others, where its samples are heard at once, and where they wait for the whole:
then longer ones take less work. A frame is 256 samples, 40 are half a second."""

MOST_REACH = 32
"""Frames around a window from which on windows take too much work. Piper's own vocoders reach 10 (medium) to 13 (high)
frames."""

_CHANGE = 4.0
"""What is added to a frame, whose numbers are about 1, to see which samples depend on it."""

_EQUAL = 1e-6


def windows_of(count: int, sizes: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield first and last frame of each window; a rest of less than half the first size belongs to the one before.

    Args:
        count: Frames of the phrase.
        sizes: Frames of the first window, and of the others.
    """
    start, size = 0, sizes[0]
    while start < count:
        end = start + size if count - start - size >= sizes[0] // 2 else count
        yield start, end
        start, size = end, sizes[1]


def reach_of(
    vocoder: Callable[[NDArray[np.float32]], NDArray[np.float32]], latent: NDArray[np.float32], hop: int
) -> int | None:
    """Return how many frames on each side of its own a sample depends on, by changing one and looking.

    Args:
        vocoder: Makes samples, float32 of shape (m * hop,), of a latent sound of shape (1, c, m).
        latent: Such as the vocoder hears, of shape (1, c, n).
        hop: Samples per frame.

    Returns:
        The number of frames; None: more than `MOST_REACH`.
    """
    frames = np.arange(2 * MOST_REACH + 3) % latent.shape[-1]
    before = np.ascontiguousarray(latent[..., frames])
    after = before.copy()
    middle = MOST_REACH + 1
    after[..., middle] += np.float32(_CHANGE)
    changed = np.flatnonzero(np.abs(vocoder(after) - vocoder(before)) > _EQUAL)
    if not len(changed):
        return None
    reach = max(middle - int(changed[0]) // hop, int(changed[-1]) // hop - middle)
    return reach if reach <= MOST_REACH else None
