"""Logits processors with their parameters as tensors, equal to those of transformers.

Scores are float32 of shape (rows, candidates); parameters have the shape (rows, 1). Source of the reference behaviour:
``transformers/generation/logits_process.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

__all__ = ["History", "min_p", "narrowed", "penalized", "top_k", "top_p"]

_NEVER = float("-inf")


def penalized(scores: Tensor, seen: Tensor, penalty: Tensor) -> Tensor:
    """Apply the repetition penalty (Keskar et al., 2019, arXiv:1909.05858) to the tokens of the mask."""
    return torch.where(seen, torch.where(scores < 0, scores * penalty, scores / penalty), scores)


def top_k(scores: Tensor, k: Tensor, bound: int) -> Tensor:
    """Keep the k best of each row and what ties with the last of them; k = 0 keeps all, ``bound`` is at least k."""
    best = scores.topk(bound, -1).values
    return scores.masked_fill(scores < _kth(best, k), _NEVER)


def narrowed(scores: Tensor, k: Tensor, bound: int) -> tuple[Tensor, Tensor]:
    """Do as `top_k`, but return only the ``bound`` best: their scores and their ids, both (rows, bound)."""
    best, ids = scores.topk(bound, -1)
    return best.masked_fill(best < _kth(best, k), _NEVER), ids


def _kth(best: Tensor, k: Tensor) -> Tensor:
    kth = best.gather(1, k.clamp(1, best.shape[1]) - 1)
    return torch.where(k > 0, kth, _NEVER)


def top_p(scores: Tensor, rest: Tensor) -> Tensor:
    """Keep the nucleus (Holtzman et al., 2019, arXiv:1904.09751), at least the best token.

    ``rest`` is 1 - p, rounded once: subtracting in float32 would decide differently where the reference meets a tie.
    """
    ascending, order = scores.sort(-1)
    improbable = ascending.softmax(-1).cumsum(-1) <= rest
    improbable[:, -1].fill_(False)
    removed = torch.zeros_like(improbable).scatter_(1, order, improbable)
    # At p = 1 the reference does nothing; without the condition, tokens whose probability rounds to zero would go.
    return scores.masked_fill(removed & (rest > 0), _NEVER)


def min_p(scores: Tensor, share: Tensor) -> Tensor:
    """Keep tokens of at least this share of the best one's probability (Nguyen et al., 2024, arXiv:2407.01082)."""
    p = scores.softmax(-1)
    return scores.masked_fill(p < share * p.amax(-1, keepdim=True), _NEVER)


class History:
    """The tokens that the repetition penalty applies to, as a mask per row.

    Args:
        rows: Number of rows.
        vocabulary: Number of tokens.
        window: Only so many of the latest count; None: all.
        device: Where the masks lie.
    """

    def __init__(self, rows: int, vocabulary: int, window: int | None, device: torch.device) -> None:
        # The last column stands for "no token": frozen rows and empty places of the ring write there.
        self._seen = torch.zeros(rows, vocabulary + 1, dtype=torch.bool, device=device)
        self._nothing = vocabulary
        self._ring = None
        if window is not None:
            self._ring = torch.full((rows, window), vocabulary, dtype=torch.int64, device=device)
            self._at = torch.zeros(rows, 1, dtype=torch.int64, device=device)

    @property
    def state(self) -> list[Tensor]:
        """Tensors that `add` changes."""
        return [self._seen] if self._ring is None else [self._seen, self._ring, self._at]

    def keep(self, rows: Sequence[int]) -> None:
        """Keep some rows, in this order, and forget the others."""
        rows = list(rows)
        self._seen = self._seen[rows]
        if self._ring is not None:
            self._ring, self._at = self._ring[rows], self._at[rows]

    def begin(self, row: int, tokens: Iterable[int]) -> None:
        """Forget a row and start it with these tokens."""
        tokens = list(tokens)
        self._seen[row] = False
        if self._ring is not None:
            size = self._ring.shape[1]
            tokens = tokens[-size:]
            self._ring[row] = self._nothing
            self._ring[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.int64, device=self._ring.device)
            self._at[row] = len(tokens) % size
        self._seen[row, tokens] = True

    def add(self, tokens: Tensor, active: Tensor) -> None:
        """Add one token to each active row, in place and without a branch on the host."""
        added = torch.where(active, tokens, self._nothing)[:, None]
        if self._ring is not None:
            oldest = self._ring.gather(1, self._at)
            self._ring.scatter_(1, self._at, torch.where(active[:, None], added, oldest))
            self._at.add_(active[:, None]).remainder_(self._ring.shape[1])
            self._seen.zero_()  # the token that left the window may still stand elsewhere in it: marked anew
            added = self._ring
        self._seen.scatter_(1, added, True)

    def mask(self, ids: Tensor | None) -> Tensor:
        """Return which tokens are in it: bool of shape (rows, vocabulary), or of the shape of the candidates' ids."""
        return self._seen[:, :-1] if ids is None else self._seen.gather(1, ids)
