"""Logits processors with their parameters as tensors, equal to those of transformers.

Scores are float32 of shape (rows, candidates); parameters have the shape (rows, 1). Source of the reference behaviour:
``transformers/generation/logits_process.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.indexed import select, store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

__all__ = ["History", "looked_up", "min_p", "narrowed", "penalized", "top_k", "top_p"]

_NEVER = float("-inf")


def penalized(scores: Tensor, seen: Tensor, penalty: Tensor) -> Tensor:
    """Apply the repetition penalty (Keskar et al., 2019, arXiv:1909.05858) to the tokens of the mask."""
    return torch.where(seen, torch.where(scores < 0, scores * penalty, scores / penalty), scores)


def top_k(scores: Tensor, k: Tensor, bound: int, *, same: int | None = None) -> Tensor:
    """Keep the k best of each row and what ties with the last of them.

    Args:
        scores: (rows, candidates).
        k: int64 (rows, 1); 0 keeps all.
        bound: At least every k.
        same: The k of all rows, where the host knows that they have one: six small operators less.
    """
    if same is not None:
        return scores.masked_fill(scores < scores.topk(same, -1).values[:, -1:], _NEVER)
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


def looked_up(chosen: Tensor, ids: Tensor | None) -> Tensor:
    """Return the ids of chosen candidates, int64 (rows,); None: the candidates are all tokens."""
    return chosen if ids is None else ids.gather(1, chosen[:, None])[:, 0]


class History:
    """The tokens that the repetition penalty applies to, as a mask per row.

    Args:
        rows: Number of rows.
        vocabulary: Number of tokens.
        window: Only so many of the latest count; None: all.
        device: Where the masks lie.

    Attributes:
        seen: bool (rows, vocabulary + 1); the last column stands for no token.
    """

    def __init__(self, rows: int, vocabulary: int, window: int | None, device: torch.device) -> None:
        # The last column stands for "no token": frozen rows and empty places of the ring write there.
        self.seen = torch.zeros(rows, vocabulary + 1, dtype=torch.bool, device=device)
        self._nothing = vocabulary
        self._ring = None
        if window is not None:
            self._ring = torch.full((rows, window), vocabulary, dtype=torch.int64, device=device)
            self._at = torch.zeros(rows, 1, dtype=torch.int64, device=device)

    @property
    def state(self) -> list[Tensor]:
        """Tensors that `add` changes."""
        return [self.seen] if self._ring is None else [self.seen, self._ring, self._at]

    def begin(self, row: int, tokens: Iterable[int]) -> None:
        """Forget a row and start it with these tokens."""
        tokens = list(tokens)
        self.seen[row] = False
        if self._ring is not None:
            size = self._ring.shape[1]
            tokens = tokens[-size:]
            self._ring[row] = self._nothing
            self._at[row] = len(tokens) % size
        # One by one: a list of indices would be copied from the host, which waits for the device.
        for place, token in enumerate(tokens):
            self.seen[row, token] = True
            if self._ring is not None:
                self._ring[row, place] = token

    def add(self, tokens: Tensor, active: Tensor, rows: Tensor | None = None) -> None:
        """Add one token to each active row, in place and without a branch on the host.

        Args:
            tokens: int64 (n,).
            active: bool (n,).
            rows: Which rows these are, int64 (n,); None: all.
        """
        added = torch.where(active, tokens, self._nothing)[:, None]
        if self._ring is not None:
            ring, at = select(self._ring, rows), select(self._at, rows)
            oldest = ring.gather(1, at)
            ring = ring.scatter(1, at, torch.where(active[:, None], added, oldest))
            store(self._ring, rows, ring)
            store(self._at, rows, (at + active[:, None]).remainder_(ring.shape[1]))
            # The token that left the window may still stand elsewhere in it: the row is marked anew.
            store(self.seen, rows, torch.zeros_like(select(self.seen, rows)).scatter_(1, ring, True))
        elif rows is None:
            self.seen.scatter_(1, added, True)
        else:
            self.seen.index_put_((rows, added[:, 0]), torch.ones_like(active))

    def mask(self, ids: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """Return which tokens are in it.

        Args:
            ids: Candidates, int64 (n, candidates); None: all tokens.
            rows: Which rows, int64 (n,); None: all.

        Returns:
            bool (n, vocabulary), or of the shape of the candidates.
        """
        if ids is None:
            return select(self.seen, rows)[:, :-1]
        return self.seen.gather(1, ids) if rows is None else self.seen[rows[:, None], ids]
