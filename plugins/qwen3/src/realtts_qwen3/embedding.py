"""The talker's inputs: text tokens through their projection, and frames of codes as one vector each.

The text embedding is a third of the small model's weights, and a request needs some dozen rows of it. They are read
from the file when they are needed, projected, and cached in a table of bounded size.

Source: ``core/models/modeling_qwen3_tts.py`` of github.com/QwenLM/Qwen3-TTS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["CodeEmbedding", "TextEmbedding"]

_CACHED = 4096
"""Projected text tokens that are cached, 16 MB in the small model and 32 MB in the large one."""

_BLOCK = 16
"""Text tokens that are projected at once. Always as many, because a product of another height rounds otherwise, and
then a request would depend on those before it."""


class TextEmbedding:
    """Text tokens as the talker reads them: embedded, then through two layers to its width.

    Args:
        rows: Reads rows of the text embedding, (n, text width).
        first: Weight (text width, text width) and bias of the first layer, on the device of the talker.
        second: Weight (hidden, text width) and bias of the second layer.
    """

    def __init__(
        self,
        rows: Callable[[Sequence[int]], Tensor],
        first: tuple[Tensor, Tensor],
        second: tuple[Tensor, Tensor],
    ) -> None:
        self._rows, self._first, self._second = rows, first, second
        self._places: dict[int, int] = {}  # token -> its row of the table
        weight = second[0]
        self._table = torch.empty(_CACHED, len(weight), dtype=weight.dtype, device=weight.device)

    def __call__(self, ids: Sequence[int]) -> Tensor:
        """Embed text tokens as float32 (len(ids), hidden)."""
        tokens = list(dict.fromkeys(ids))
        if len(tokens) > _CACHED:
            pieces = [self._projected(ids[at : at + _BLOCK]) for at in range(0, len(ids), _BLOCK)]
            return torch.cat(pieces)
        missing = [token for token in tokens if token not in self._places]
        if len(self._places) + len(missing) > _CACHED:
            self._places.clear()
            missing = tokens
        for at in range(0, len(missing), _BLOCK):
            self._cache(missing[at : at + _BLOCK])
        places = [self._places[token] for token in ids]
        return self._table[torch.tensor(places, dtype=torch.int64, device=self._table.device)]

    def _cache(self, ids: Sequence[int]) -> None:
        begin = len(self._places)
        self._table[begin : begin + len(ids)] = self._projected(ids)
        self._places.update((token, begin + at) for at, token in enumerate(ids))

    def _projected(self, ids: Sequence[int]) -> Tensor:
        padded = [*ids, *[ids[0]] * (_BLOCK - len(ids))]
        x = self._rows(padded).to(self._table.device, self._table.dtype)  # (_BLOCK, text width)
        return functional.linear(functional.silu(functional.linear(x, *self._first)), *self._second)[: len(ids)]


class CodeEmbedding:
    """Codes as the talker reads them.

    The tables have the checkpoint's dtype: half the bytes of float32, and nothing is lost.

    Args:
        first: Table of a frame's first code, and of the tokens that steer the talker: (vocabulary, hidden).
        others: Tables of the codes behind it, (groups - 1, codes, hidden).
    """

    def __init__(self, first: Tensor, others: Tensor) -> None:
        self.first, self.others = first, others
        self._group = torch.arange(len(others), device=others.device)

    def steering(self, ids: Sequence[int]) -> Tensor:
        """Embed the tokens that steer the talker as float32 (len(ids), hidden)."""
        return self.first[torch.tensor(list(ids), dtype=torch.int64, device=self.first.device)].float()

    def frames(self, codes: Tensor) -> Tensor:
        """Embed frames of codes, each as the sum of its codes.

        Args:
            codes: int64 (n, groups).

        Returns:
            float32 (n, hidden).
        """
        parts = [self.first[codes[:, :1]], self.others[self._group, codes[:, 1:]]]
        return torch.cat(parts, 1).float().sum(1)  # (n, groups, hidden) -> (n, hidden)
