"""Sequences of different lengths one behind the other, so that nothing is computed for padding.

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
    """Frames to which a length is rounded up: at most a quarter more beyond 128, and 4 values for each doubling."""
    return rounded_up(frames, smallest=_SMALLEST)


@dataclass(frozen=True)
class Packing:
    """Where the frames of a batch lie.

    Attributes:
        lengths: Frames of each request.
        rows: Copies of each request that lie together: 2 with guidance (conditional, unconditional), else 1.
    """

    lengths: tuple[int, ...]
    rows: int = 1

    @property
    def frames(self) -> int:
        """All of them, gaps too."""
        return self.rows * sum(length + GAP for length in self.lengths)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Begin of the first row and length of each request."""
        begins = accumulate((self.rows * (length + GAP) for length in self.lengths), initial=0)
        return list(zip(begins, self.lengths, strict=False))

    def gaps(self, device: torch.device) -> Tensor:
        """Indices of the frames that belong to no sequence, int64."""
        found = [
            begin + row * (length + GAP) + length + step
            for begin, length in self.spans
            for row in range(self.rows)
            for step in range(GAP)
        ]
        return torch.tensor(found, dtype=torch.int64, device=device)

    def row(self, index: int, device: torch.device) -> Tensor:
        """Indices of one row of every request with its gap, int64, in the order of a packing of one row each."""
        pieces = [
            torch.arange(begin + index * (length + GAP), begin + (index + 1) * (length + GAP))
            for begin, length in self.spans
        ]
        return torch.cat(pieces).to(device)

    def packed(self, sequences: Sequence[Tensor]) -> Tensor:
        """The requests' (frames, channels) as one tensor, for a packing of one row each; zeros behind shorter ones."""
        out = sequences[0].new_zeros(self.frames, sequences[0].shape[1])
        for (begin, length), sequence in zip(self.spans, sequences, strict=True):
            assert len(sequence) <= length
            out[begin : begin + len(sequence)] = sequence
        return out


@dataclass(frozen=True)
class Layout:
    """A packing as indices on the device, int64.

    Attributes:
        packing: Where the frames lie.
        gaps: Frames that belong to no sequence.
        rows: For each row the frames of it, `Packing.row`.
        source: For each frame the frame of a packing of one row each that it stands for.
    """

    packing: Packing
    gaps: Tensor
    rows: tuple[Tensor, ...]
    source: Tensor

    @classmethod
    def of(cls, packing: Packing, device: torch.device) -> Layout:
        """The indices of a packing."""
        rows = tuple(packing.row(index, device) for index in range(packing.rows))
        source = torch.empty(packing.frames, dtype=torch.int64, device=device)
        for row in rows:
            source[row] = torch.arange(len(row), device=device)
        return cls(packing, packing.gaps(device), rows, source)
