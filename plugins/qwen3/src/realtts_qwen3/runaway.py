"""Speech that has no end: frames that repeat, and silence.

Once in some hundred requests the model does not draw the end, and goes on with one sound, or with none, up to the
limit. Whoever sees it may stop sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["LONGEST_PERIOD", "MOST_REPEATED", "MOST_SILENCE", "SILENCE", "Watch"]

MOST_REPEATED = 50
"""Frames (4 s) whose first codes repeat those before them. No vowel lasts as long; the other codes are not looked at,
because they differ a little even where the same is heard."""

LONGEST_PERIOD = 4
"""Frames after which what repeats begins again: a sound alone, or up to four in turn, a third of a second."""

MOST_SILENCE = 5.0
"""Seconds; pauses between sentences last one at most."""

SILENCE = 1e-3
"""-60 dBFS, root mean square of a frame: quieter than a quiet room."""


class Watch:
    """Watches one request.

    Args:
        rate: Samples per second.
        frame: Samples of a frame.
    """

    def __init__(self, *, rate: int, frame: int) -> None:
        self._frame = frame
        self._most_silent = round(MOST_SILENCE * rate / frame)
        self._last: list[int] = []
        self._repeated = [0] * LONGEST_PERIOD
        self._silent = 0

    def repeats(self, codes: Tensor) -> bool:
        """Whether the same has been drawn for too long.

        Args:
            codes: int64 (n, 16): the frames that follow.
        """
        for code in codes[:, 0].tolist():
            for period in range(1, LONGEST_PERIOD + 1):
                same = len(self._last) >= period and self._last[-period] == code
                self._repeated[period - 1] = self._repeated[period - 1] + 1 if same else 0
            self._last = [*self._last, code][-LONGEST_PERIOD:]
            if max(self._repeated) >= MOST_REPEATED:
                return True
        return False

    def is_silent(self, samples: NDArray[np.float32]) -> bool:
        """Whether nothing has been heard for too long.

        Args:
            samples: float32 (frames * samples of a frame,): those that follow.
        """
        frames = samples.reshape(-1, self._frame)
        for level in np.sqrt(np.square(frames, dtype=np.float64).mean(1)):
            self._silent = self._silent + 1 if level < SILENCE else 0
            if self._silent > self._most_silent:
                return True
        return False
