"""Sequences of different lengths one behind the other, so that nothing is computed for padding.

Two frames of zeros follow each sequence: as much as the causal convolutions of the estimator look back.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["GAP", "Packing"]

GAP = 2
"""Frames between sequences."""


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
        """The requests' (frames, channels) as one tensor, for a packing of one row each."""
        out = sequences[0].new_zeros(self.frames, sequences[0].shape[1])
        for (begin, length), sequence in zip(self.spans, sequences, strict=True):
            out[begin : begin + length] = sequence
        return out
