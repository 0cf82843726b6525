"""Static tensors for prompts of a few lengths, so that reading a prompt can be captured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.decoder.buckets import Buckets

__all__ = ["PaddedPrompts"]


class PaddedPrompts:
    """Static tensors for prompts, padded on the right to the next bucket's length.

    Args:
        buckets: Lengths.
        like: (rows, hidden): says how many rows there are and how wide, of which type and where.
    """

    def __init__(self, buckets: Buckets, *, like: Tensor) -> None:
        self.buckets = buckets
        self._like = like
        self._places: dict[int, tuple[Tensor, Tensor]] = {}

    def at(self, length: int) -> tuple[Tensor, Tensor]:
        """Return a bucket's tensors, always the same: embeddings (rows, length, hidden) and bool (rows, length)."""
        if length not in self._places:
            rows, hidden = self._like.shape
            with torch.inference_mode(mode=False):  # or it could not be changed outside of it
                x = self._like.new_zeros(rows, length, hidden)
                self._places[length] = x, torch.ones(rows, length, dtype=torch.bool, device=x.device)
        return self._places[length]

    def put(self, embeddings: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Copy a prompt into its bucket's tensors.

        Args:
            embeddings: (rows, n, hidden).
            valid: bool (rows, n); None: everything.

        Returns:
            As `at`.
        """
        n = embeddings.shape[1]
        x, mask = self.at(self.buckets.holding(n))
        x[:, :n], x[:, n:] = embeddings, 0
        mask[:, :n], mask[:, n:] = True if valid is None else valid, False
        return x, mask
