"""Where the frames of a batch lie: (frames, channels), one sequence behind the other.

On the CPU sequences have their true lengths (`packed`): nothing is computed for padding and attention needs no mask.
CUDA graphs need fixed shapes: there sequences are padded to one length (`padded`), what lies beyond a sequence's end is
kept from its frames, and its frames get the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.graphs.cuda_graph import rounded_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

__all__ = ["Layout", "bucket_of", "frames_of", "packed", "padded"]

_SMALLEST_STEP = 64
_STEPS_PER_OCTAVE = 8
_LONG, _LONG_STEP = 1024, 256
"""Beyond 11 s fewer lengths, each with a graph of its own, are worth more than a tenth of the work."""


@dataclass(frozen=True)
class Layout:
    """Groups of requests with equally many frames.

    Attributes:
        groups: Number of requests and frames of each, for each group.
        rows: Copies of each request that lie together: 2 with guidance (conditional, unconditional), else 1.
        valid: Of the only group, where sequences are padded: which frames are theirs, (requests, frames) bool.
        mask: The same as attention adds it to scores, (sequences, 1, 1, frames): 0, or -inf for padding; made once for
            all blocks and steps. None: nothing is padded, and attention may take a kernel that knows no masks.
    """

    groups: tuple[tuple[int, int], ...]
    rows: int = 1
    valid: Tensor | None = None
    mask: Tensor | None = None

    @property
    def frames(self) -> int:
        """Frames of all rows of all requests."""
        return self.rows * sum(count * length for count, length in self.groups)

    @property
    def longest(self) -> int:
        """Frames of the longest sequence."""
        return max(length for _, length in self.groups)

    @property
    def sequences(self) -> int:
        """Rows of all requests."""
        return self.rows * sum(count for count, _ in self.groups)

    def renew_mask(self) -> None:
        """Write the mask anew, in its place, after ``valid`` was changed."""
        assert self.valid is not None
        assert self.mask is not None
        # (requests, frames) -> (sequences, 1, 1, frames): for heads and queries
        hidden = ~self.valid.repeat_interleave(self.rows, 0)[:, None, None]
        self.mask.zero_().masked_fill_(hidden, float("-inf"))

    @property
    def single(self) -> Layout:
        """The same with one row for each request, as the solver's state lies."""
        return replace(self, rows=1)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Begin and length of each sequence."""
        lengths = [length for count, length in self.groups for _ in range(count * self.rows)]
        return list(zip(accumulate(lengths, initial=0), lengths, strict=False))

    def lengthened(self) -> Layout:
        """Return the same with one more frame before each sequence."""
        groups = tuple((count, length + 1) for count, length in self.groups)
        valid = None if self.valid is None else functional.pad(self.valid, (1, 0), value=True)
        mask = None if self.mask is None else functional.pad(self.mask, (1, 0))
        return Layout(groups, self.rows, valid, mask)

    def pieces(self, x: Tensor) -> Iterator[Tensor]:
        """Yield each group's part of (frames, channels) as a view (requests, rows, frames, channels)."""
        begin = 0
        for count, length in self.groups:
            end = begin + count * self.rows * length
            yield x[begin:end].view(count, self.rows, length, -1)
            begin = end


def packed(lengths: Sequence[int], rows: int) -> Layout:
    """Lay sequences out at their true lengths; neighbours of equal length make one group."""
    groups = tuple((len(list(equal)), length) for length, equal in groupby(lengths))
    return Layout(groups, rows)


def padded(lengths: Tensor, rows: int, bucket: int, dtype: torch.dtype = torch.float32) -> Layout:
    """Lay sequences out padded to ``bucket`` frames.

    Args:
        lengths: True frames of each request, int64 (n,), on the device.
        rows: Of each request.
        bucket: At least the greatest length.
        dtype: Of attention, whose mask has the same.
    """
    mask = torch.zeros(rows * len(lengths), 1, 1, bucket, dtype=dtype, device=lengths.device)
    layout = Layout(((len(lengths), bucket),), rows, frames_of(lengths, bucket), mask)
    layout.renew_mask()
    return layout


def frames_of(lengths: Tensor, bucket: int) -> Tensor:
    """Return which frames of padded sequences are theirs, (n, bucket) bool."""
    return torch.arange(bucket, device=lengths.device) < lengths[:, None]


def bucket_of(frames: int) -> int:
    """Return the padded length for so many frames: at most 64 frames or an eighth more, 256 above 1024."""
    step = _LONG_STEP if frames > _LONG else _SMALLEST_STEP
    return rounded_up(frames, smallest=_SMALLEST_STEP, per_octave=_STEPS_PER_OCTAVE, step=step)
