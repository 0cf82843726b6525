"""Sequences of different lengths packed one behind the other, so that nothing is computed for padding.

Two frames of zeros follow each sequence: as much as the causal convolutions of the estimator look back. Where shapes
must be the same again and again, for graphs, lengths are rounded up (`bucket`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import torch

from realtts.accel.graphs.cuda_graph import rounded_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["GAP", "Layout", "Packing", "bucket"]

GAP = 2
"""Frames between sequences."""

_SMALLEST = 128


def bucket(frames: int) -> int:
    """Round a number of frames up: beyond 128 by at most a quarter, to one of 4 values for each doubling."""
    return rounded_up(frames, smallest=_SMALLEST)


@dataclass(frozen=True)
class Packing:
    """Places of the frames of a batch in one packed tensor.

    Attributes:
        lengths: Frames of each request.
        rows: Copies of each request, one behind the other: 2 with guidance (conditional, unconditional), else 1.
    """

    lengths: tuple[int, ...]
    rows: int = 1

    @property
    def frames(self) -> int:
        """Number of all frames, gaps included."""
        return self.rows * sum(length + GAP for length in self.lengths)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Begin of the first row, and length, of each request."""
        begins = accumulate((self.rows * (length + GAP) for length in self.lengths), initial=0)
        return list(zip(begins, self.lengths, strict=False))

    @property
    def sequences(self) -> list[tuple[int, int]]:
        """Begin and length of every row of every request."""
        return [(begin + row * (length + GAP), length) for begin, length in self.spans for row in range(self.rows)]

    def gaps(self, device: torch.device) -> Tensor:
        """Return the indices of the frames that belong to no sequence, int64."""
        indices = [
            begin + row * (length + GAP) + length + step
            for begin, length in self.spans
            for row in range(self.rows)
            for step in range(GAP)
        ]
        return torch.tensor(indices, dtype=torch.int64, device=device)

    def row(self, index: int, device: torch.device) -> Tensor:
        """Return the indices of one row of every request with its gap, int64, in the order of a one-row packing."""
        pieces = [
            torch.arange(begin + index * (length + GAP), begin + (index + 1) * (length + GAP))
            for begin, length in self.spans
        ]
        return torch.cat(pieces).to(device)

    def packed(self, sequences: Sequence[Tensor]) -> Tensor:
        """Pack sequences (frames, channels) into one tensor, for a one-row packing; zeros behind shorter ones."""
        out = sequences[0].new_zeros(self.frames, sequences[0].shape[1])
        for (begin, length), sequence in zip(self.spans, sequences, strict=True):
            assert len(sequence) <= length
            out[begin : begin + len(sequence)] = sequence
        return out


@dataclass(frozen=True)
class Layout:
    """A packing as index tensors on the device, int64.

    Attributes:
        packing: Places of the frames.
        gaps: Indices of the frames that belong to no sequence.
        rows: For each row the indices of its frames, `Packing.row`.
        source: For each frame, the index of its frame in the one-row packing.
    """

    packing: Packing
    gaps: Tensor
    rows: tuple[Tensor, ...]
    source: Tensor

    @classmethod
    def of(cls, packing: Packing, device: torch.device) -> Layout:
        """Compute the indices of a packing."""
        rows = tuple(packing.row(index, device) for index in range(packing.rows))
        source = torch.empty(packing.frames, dtype=torch.int64, device=device)
        for row in rows:
            source[row] = torch.arange(len(row), device=device)
        return cls(packing, packing.gaps(device), rows, source)
