"""Speech from codes that are still being drawn: decoded in windows, and joined without clicks.

The decoder's frames see each other both ways, so that a window sounds different from the same frames of the whole. Each
window decodes, before its new codes, some that were heard already (``back``), and behind them some that are heard later
(``ahead``), which the next window decodes again. Where two windows meet, the later one is faded in over its first new
frame, and the earlier one, which has decoded that frame as well, is faded out: linearly, for both are nearly the same.

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
"""Frames over which one window is faded into the next."""


class Windows:
    """One stream: codes in, samples out, as many as of the whole.

    Args:
        frame: Samples of a frame.
        new: Frames of a window that are new.
        back: Frames before them.
        ahead: Frames behind them; with 0 windows are put end to end, for there is nothing to fade.
    """

    def __init__(self, frame: int, *, new: int, back: int, ahead: int) -> None:
        self._frame, self._new, self._back, self._ahead = frame, new, back, ahead
        self._codes = torch.zeros(0, dtype=torch.int64)
        self._done = 0  # frames of `_codes` that were handed out
        self._count = 0  # new frames of the window that is being decoded
        self._tail = torch.zeros(0)  # samples of the last window for the frame behind its new ones

    def add(self, codes: Tensor) -> None:
        """Append the codes that follow, int64 (frames,)."""
        self._codes = torch.cat([self._codes, codes.to(self._codes)])

    @property
    def waiting(self) -> int:
        """Codes that no window has had as its new ones."""
        return len(self._codes) - self._done

    def window(self, *, final: bool) -> Tensor | None:
        """Return the codes that are to be decoded next.

        Args:
            final: No codes follow.

        Returns:
            int64 (frames,), whose samples must be given to `joined` next; None: there are too few codes yet.
        """
        waiting = self.waiting
        if final and 0 < waiting <= self._new + self._ahead:
            self._count = waiting
        elif waiting and waiting >= self._new + self._ahead:
            self._count = self._new
        else:
            return None
        return self._codes[max(0, self._done - self._back) : self._done + self._count + self._ahead]

    def joined(self, samples: Tensor) -> Tensor:
        """Return the samples of a window's new frames, faded in over those that were handed out before them.

        Args:
            samples: Of the whole window, float32 (480 * frames,).

        Returns:
            float32 (480 * new frames,).
        """
        begin = min(self._back, self._done) * self._frame
        end = begin + self._count * self._frame
        new = samples[begin:end].clone()
        fade = min(len(self._tail), len(new))
        if fade:
            rising = torch.linspace(0, 1, fade + 2, device=new.device)[1:-1]
            new[:fade] = self._tail[:fade] + (new[:fade] - self._tail[:fade]) * rising
        self._tail = samples[end : end + _FADE * self._frame].clone()
        self._drop()
        return new

    def _drop(self) -> None:
        """Drop codes that no later window looks back at."""
        self._done += self._count
        count = max(0, self._done - self._back)
        self._codes, self._done = self._codes[count:], self._done - count
