"""One text of a call, its rows, and what of it the caller has received."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.checks import read_only
from realtts.contract.types import Chunk
from realtts.synthesis.pipeline import Pipeline
from realtts.synthesis.rates import usual_rate
from realtts.synthesis.rows import Row
from realtts.text.unread import unread_warnings

if TYPE_CHECKING:
    from realtts.contract.types import FinishReason, Unread
    from realtts.ladder.protocols import AnyLadder
    from realtts.registry.extensions import Extensions
    from realtts.synthesis.pieces import Piece
    from realtts.synthesis.plan import Plan

__all__ = ["Utterance"]


class Utterance:
    """One text on its way to the caller.

    Args:
        plan: Its plan.
        extensions: Who sees the audio.
        ladder: Who says it.

    Attributes:
        rows: The pieces on their way to audio.
        spoken_chars: Characters of the caller's text of which there is audio.
        delivered: Whether the caller has received a chunk of it.
        delivered_s: Seconds of audio that the caller has received.
        tokens: Speech tokens of that audio.
    """

    def __init__(self, plan: Plan, extensions: Extensions, ladder: AnyLadder) -> None:
        self.plan = plan
        self.rows = [] if plan.growth else [Row(plan, piece) for piece in plan.pieces]
        self.spoken_chars = 0
        self.delivered, self.delivered_s = False, 0.0
        self.tokens = 0
        self._extensions = extensions
        self._pipeline = Pipeline(plan, extensions)
        self._rate = usual_rate(ladder)
        self._provider = ladder.spec.name
        self._unread: list[Unread] = []

    @property
    def finish(self) -> FinishReason:
        """How it ended."""
        if self.plan.cancelled.is_set():
            return "cancelled"
        return "length" if any(row.finish == "length" for row in self.rows) else "stop"

    def add(self, piece: Piece) -> Row:
        """Return the row of a piece that was written since."""
        row = Row(self.plan, piece)
        self.rows.append(row)
        return row

    def rest(self) -> Chunk | None:
        """Return the samples that were held back for what would follow, and does not."""
        return self._counted(self._pipeline.finish())

    def feed(self, row: Row, chunk: Chunk) -> Chunk | None:
        """Return the audio that is ready after a chunk of a row."""
        start = row.piece.start
        for each in chunk.unread:
            span = self.plan.to_original((each.span[0] + start, each.span[1] + start))
            self._unread.append(replace(each, span=span))
        if row.unsaid:
            return None
        ready = self._pipeline.feed(row.piece, chunk)
        if ready is not None:
            self._advance(max((mark.span[1] for mark in ready.marks), default=0))
        return self._counted(ready)

    def end_piece(self, row: Row) -> Chunk | None:
        """Return the audio that is ready once a row is complete."""
        end = row.piece.start + len(row.piece.request.text)
        self._advance(self.plan.to_original((row.piece.start, end))[1])
        return self._counted(self._pipeline.end_piece(row.piece))

    def reset(self) -> None:
        """Forget what was fed, none of which the caller has received."""
        self._pipeline = Pipeline(self.plan, self._extensions)
        self._unread.clear()

    def close(self) -> Chunk:
        """Return the chunk that ends it: the last samples, if any were held back, how it ended and what to know."""
        rest = self.rest() or Chunk(read_only(np.zeros(0, np.float32)), self._rate)
        warnings = [warning for row in self.rows for warning in row.warnings]
        if self.finish != "cancelled":
            self._advance(len(self.plan.text))
        unread = unread_warnings(self._provider, self.plan.text, self._unread)
        about = (*self.plan.warnings, *unread, *rest.warnings, *warnings, *self._pipeline.warnings)
        return replace(rest, finish_reason=self.finish, warnings=about, unread=tuple(self._unread))

    def _advance(self, chars: int) -> None:
        # Not every chunk has marks, and marks need not be in order: what was spoken stays spoken.
        self.spoken_chars = max(self.spoken_chars, chars)

    def _counted(self, chunk: Chunk | None) -> Chunk | None:
        if chunk is not None:
            self.delivered = True
            self.delivered_s += chunk.duration
            self.tokens += chunk.tokens
            self._rate = chunk.sample_rate
        return chunk
