"""Conditionals: a voice in the form that the networks read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Conditionals"]


@dataclass(frozen=True)
class Conditionals:
    """The tensors of a voice, computed once from a recording. Never changed in place: requests share them.

    Attributes:
        speaker: float32 (1, 256), of the voice encoder, for T3.
        t3_tokens: int64 (1, n), the recording's first seconds as speech tokens, for T3; None without such a prompt.
        tokens: int64 (1, p), the recording as speech tokens, for the flow.
        mel: float32 (1, 2 p, 80), its mel spectrogram, for the flow.
        embedding: float32 (1, 192), its x-vector, for the flow.
    """

    speaker: Tensor
    t3_tokens: Tensor | None
    tokens: Tensor
    mel: Tensor
    embedding: Tensor
