"""Speech from codes that are still being drawn: decoded in windows, and put together without clicks.

The decoder's frames see each other both ways, so that a window is not what the whole has there. Each window decodes
codes that were heard already before its new ones (``back``), and some that are not heard yet behind them (``ahead``),
which the next window decodes again. Where two windows meet, the later one is faded in over the first frame of its own
while the earlier one, which has decoded that frame as well, is faded out: linearly, for both are nearly the same sound.

How far a stream is from the whole was measured with random weights at full size, whose attention looks at all frames
alike: over six seconds the difference lies 11 dB below the sound, 5 dB in the first window, 13 dB in later ones, and
15 dB with 200 frames before and 40 behind. All of it is attention; the norms over a window's frames make no difference.

Numbers of frames are upstream's by default (``infer_stream``, which fades over two frames, one on either side of the
meeting).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Windows"]

_FADE = 1
"""Frames over which two windows are mixed."""


class Windows:
    """One stream: codes in, samples out. All its samples are as many as those of the whole.

    Args:
        frame: Samples of a frame.
        new: Frames of a window that are new.
        back: Frames before them.
        ahead: Frames behind them; with none of them, windows are put end to end, for there is nothing to fade.
    """

    def __init__(self, frame: int, *, new: int, back: int, ahead: int) -> None:
        self._frame, self._new, self._back, self._ahead = frame, new, back, ahead
        self._kept = torch.zeros(0, dtype=torch.int64)
        self._done = 0  # frames of `_kept` that were handed out
        self._count = 0  # new frames of the window that is being decoded
        self._tail = torch.zeros(0)  # what the last window has of the frame behind its own

    def add(self, codes: Tensor) -> None:
        """Take the codes that follow, int64 (frames,)."""
        self._kept = torch.cat([self._kept, codes.to(self._kept)])

    def window(self, *, final: bool) -> Tensor | None:
        """The codes that are to be decoded next.

        Args:
            final: No codes follow.

        Returns:
            int64 (frames,), whose samples `joined` must be given next; None: too few codes wait.
        """
        waiting = len(self._kept) - self._done
        if final and 0 < waiting <= self._new + self._ahead:
            self._count = waiting
        elif waiting and waiting >= self._new + self._ahead:
            self._count = self._new
        else:
            return None
        return self._kept[max(0, self._done - self._back) : self._done + self._count + self._ahead]

    def joined(self, samples: Tensor) -> Tensor:
        """Samples of the window's new frames, faded into what was handed out before them.

        Args:
            samples: Of the whole window, float32 (480 * frames,).

        Returns:
            float32 (480 * new frames,).
        """
        begin = min(self._back, self._done) * self._frame
        end = begin + self._count * self._frame
        found = samples[begin:end].clone()
        fade = min(len(self._tail), len(found))
        if fade:
            rising = torch.linspace(0, 1, fade + 2, device=found.device)[1:-1]
            found[:fade] = self._tail[:fade] + (found[:fade] - self._tail[:fade]) * rising
        self._tail = samples[end : end + _FADE * self._frame].clone()
        self._forget()
        return found

    def _forget(self) -> None:
        self._done += self._count
        drop = max(0, self._done - self._back)
        self._kept, self._done = self._kept[drop:], self._done - drop
