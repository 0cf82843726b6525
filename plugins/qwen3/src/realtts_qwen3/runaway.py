"""Detection of speech without an end: frames that repeat, and silence.

Once in some hundred requests the model does not draw the end, and goes on with one sound, or with none, up to the
limit of frames. A detector stops it sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["LONGEST_PERIOD", "MAX_REPEATED", "MAX_SILENCE", "SILENCE", "RunawayDetector"]

MAX_REPEATED = 50
"""Frames (4 s) whose first codes repeat those before them. No vowel lasts as long. The other codes are not compared,
because they differ a little even where the sound is the same."""

LONGEST_PERIOD = 4
"""Longest repeated pattern, in frames: one sound, or up to four in turn (a third of a second)."""

MAX_SILENCE = 5.0
"""Seconds of silence in a row; pauses between sentences last one second at most."""

SILENCE = 1e-3
"""Root mean square of a silent frame, -60 dBFS: quieter than a quiet room."""


class RunawayDetector:
    """The detector of one request; it is fed the frames in order.

    Args:
        rate: Samples per second.
        frame: Samples per frame.
    """

    def __init__(self, *, rate: int, frame: int) -> None:
        self._frame = frame
        self._max_silent = round(MAX_SILENCE * rate / frame)
        self._last: list[int] = []
        self._repeated = [0] * LONGEST_PERIOD
        self._silent = 0

    def repeats(self, codes: Tensor) -> bool:
        """Check the next frames for a pattern that has been repeated for too long.

        Args:
            codes: int64 (n, 16): the frames that follow.
        """
        for code in codes[:, 0].tolist():
            for period in range(1, LONGEST_PERIOD + 1):
                same = len(self._last) >= period and self._last[-period] == code
                self._repeated[period - 1] = self._repeated[period - 1] + 1 if same else 0
            self._last = [*self._last, code][-LONGEST_PERIOD:]
            if max(self._repeated) >= MAX_REPEATED:
                return True
        return False

    def is_silent(self, samples: NDArray[np.float32]) -> bool:
        """Check whether nothing has been heard for too long.

        Args:
            samples: float32 (frames * samples per frame,): those that follow.
        """
        frames = samples.reshape(-1, self._frame)  # (n * frame,) -> (n, frame)
        for level in np.sqrt(np.square(frames, dtype=np.float64).mean(1)):
            self._silent = self._silent + 1 if level < SILENCE else 0
            if self._silent > self._max_silent:
                return True
        return False
