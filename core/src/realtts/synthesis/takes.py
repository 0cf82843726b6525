"""What was spoken of a piece, and given up because of its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.contract.types import Chunk, FinishReason
    from realtts.listening import Hearing, Missing

__all__ = ["Take"]


@dataclass(frozen=True, eq=False)
class Take:
    """One speaking of a piece whose words were not all there.

    Attributes:
        chunks: Its audio.
        seconds: Its length.
        finish: How it ended.
        first_at: When its first chunk came.
        hearing: What was heard of it.
        missing: Words of the text that were not.
    """

    chunks: list[Chunk]
    seconds: float
    finish: FinishReason
    first_at: float | None
    hearing: Hearing
    missing: tuple[Missing, ...]
