"""Tokens as the language model reads them.

The matrix is a quarter of the weights. A head of speech alone keeps its rows for speech; rows of other tokens are read
from the file when a prompt first has them, and cached: a language has few phonemes, and a voice's codes come again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.weights.tensorfile import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from realtts_vieneu.head import Outputs

__all__ = ["TokenEmbedding", "output_rows"]

_CACHED = 4096
"""Rows that are cached, two bytes for each of their numbers: 7 MB of v1."""


class TokenEmbedding:
    """Embeds prompts and drawn tokens; in the checkpoint's own type, which is half the bytes and loses nothing.

    Args:
        outputs: Of the head.
        rows: Returns rows of the whole matrix, (n, hidden), for tokens.
        drawn: (outputs, hidden): the rows of the head's outputs, on the device of the decoder.

    Attributes:
        outputs: As given.
        drawn: As given.
    """

    def __init__(self, outputs: Outputs, rows: Callable[[Sequence[int]], Tensor], drawn: Tensor) -> None:
        self.outputs, self.drawn = outputs, drawn
        self._rows = rows

    @classmethod
    def read(cls, state: Mapping[str, Tensor], name: str, outputs: Outputs, device: torch.device) -> TokenEmbedding:
        """Read the rows of a head's outputs from a checkpoint's matrix."""
        drawn = output_rows(state, name, outputs, device)
        rows = rows_of({name: drawn}, name) if outputs.kind == "full" else _CachedRows(rows_of(state, name))
        return cls(outputs, rows, drawn)

    def prompt(self, ids: Sequence[int]) -> Tensor:
        """Embed tokens of the vocabulary, to float32 (n, hidden)."""
        return self._rows(ids).to(self.drawn.device).float()

    def __call__(self, outputs: Tensor) -> Tensor:
        """Embed outputs of the head, int64 (rows,), to float32 (rows, hidden)."""
        return self.drawn[outputs].float()


class _CachedRows:
    """Rows of a matrix, each read once.

    Args:
        read: Returns rows, (n, hidden), for tokens.
    """

    def __init__(self, read: Callable[[Sequence[int]], Tensor]) -> None:
        self._read = read
        self._cache: dict[int, Tensor] = {}

    def __call__(self, ids: Sequence[int]) -> Tensor:
        tokens = set(ids)
        if len(tokens | self._cache.keys()) > _CACHED:
            self._cache.clear()
        if missing := sorted(tokens - self._cache.keys()):
            self._cache.update(zip(missing, self._read(missing), strict=True))
        return torch.stack([self._cache[token] for token in ids])


def output_rows(state: Mapping[str, Tensor], name: str, outputs: Outputs, device: torch.device) -> Tensor:
    """Read those rows of a matrix over the vocabulary that belong to a head's outputs, (outputs, hidden)."""
    rows = state[name] if outputs.kind == "full" else rows_of(state, name)(outputs.ids)
    return rows.to(device)
