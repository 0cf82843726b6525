"""A request of the optimized variant in a running batch: its tokens come in, its chunks go out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts_toylm.codec import Codec
from realtts_toylm.frontend import prepare
from realtts_toylm.model import TOKENS_PER_CHUNK, chunk_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts.accel.decoder import RowBlock, ServedRow
    from realtts.contract.context import Context
    from realtts.contract.types import Chunk
    from realtts_toylm.optimized import LoopEngine

__all__ = ["RowSpeaker"]


class RowSpeaker:
    """Makes a chunk of every few tokens.

    Args:
        context: Of the hook.
        engine: Draws the tokens.
        row: The request.
    """

    def __init__(self, context: Context, engine: LoopEngine, row: ServedRow) -> None:
        self._context, self._number = context, row.number
        self._codec = Codec()
        self._tokens: list[int] = []
        self._end: str | None = None
        row.decode(engine.admission(prepare(context, row.request)), self._take)

    def _take(self, block: RowBlock) -> None:
        self._tokens += block.tokens
        self._end = block.end

    def speak(self) -> Iterator[Chunk]:
        """Yield what can be heard of the tokens so far."""
        while self._end is not None or len(self._tokens) >= TOKENS_PER_CHUNK:
            tokens, self._tokens = self._tokens[:TOKENS_PER_CHUNK], self._tokens[TOKENS_PER_CHUNK:]
            end = None if self._tokens else self._end
            yield chunk_of(self._context, self._codec, tokens, end, row=self._number)
            if end is not None:
                return
