"""Tokens as the language model reads them.

The matrix is a quarter of the weights. Who draws speech alone keeps its rows for speech; those of a prompt are read
from the file when they are first needed, and kept: a language has few phonemes, and a voice's codes come again.
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

_KEPT = 4096
"""Rows that are kept, two bytes for each of their numbers: 7 MB of v1."""


class TokenEmbedding:
    """Embeds prompts and what was drawn; in the checkpoint's own type, which is half the bytes and loses nothing.

    Args:
        rows: Gives rows of the whole matrix, (n, hidden), by tokens.
        drawn: (outputs, hidden): those of the head's outputs, on the device of the decoder.

    Attributes:
        drawn: As given.
    """

    def __init__(self, rows: Callable[[Sequence[int]], Tensor], drawn: Tensor) -> None:
        self._rows, self.drawn = rows, drawn

    @classmethod
    def of(cls, state: Mapping[str, Tensor], name: str, outputs: Outputs, device: torch.device) -> TokenEmbedding:
        """Of a checkpoint's matrix."""
        drawn = output_rows(state, name, outputs, device)
        return cls(rows_of({name: drawn}, name) if outputs.kind == "full" else _KeptRows(rows_of(state, name)), drawn)

    def prompt(self, ids: Sequence[int]) -> Tensor:
        """Tokens of the vocabulary: float32 (n, hidden)."""
        return self._rows(ids).to(self.drawn.device).float()

    def __call__(self, outputs: Tensor) -> Tensor:
        """Outputs of the head, int64 (rows,): float32 (rows, hidden)."""
        return self.drawn[outputs].float()


class _KeptRows:
    """Rows of a matrix that are read once.

    Args:
        read: Gives rows, (n, hidden).
    """

    def __init__(self, read: Callable[[Sequence[int]], Tensor]) -> None:
        self._read = read
        self._kept: dict[int, Tensor] = {}

    def __call__(self, ids: Sequence[int]) -> Tensor:
        wanted = set(ids)
        if len(wanted | self._kept.keys()) > _KEPT:
            self._kept.clear()
        if missing := sorted(wanted - self._kept.keys()):
            self._kept.update(zip(missing, self._read(missing), strict=True))
        return torch.stack([self._kept[token] for token in ids])


def output_rows(state: Mapping[str, Tensor], name: str, outputs: Outputs, device: torch.device) -> Tensor:
    """Those rows of a matrix over the vocabulary that belong to a head's outputs, (outputs, hidden)."""
    found = state[name] if outputs.kind == "full" else rows_of(state, name)(outputs.ids)
    return found.to(device)
