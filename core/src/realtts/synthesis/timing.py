"""Timings of a piece: the provider's marks, moved into the caller's text, and the places of SSML's marks among them."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.contract.types import Mark

if TYPE_CHECKING:
    from realtts.synthesis.markup import Anchor
    from realtts.synthesis.pieces import Piece
    from realtts.synthesis.plan import Plan

__all__ = ["PieceTiming", "mark_of"]


class PieceTiming:
    """The marks of one piece in the time of the whole and in the caller's text.

    Args:
        plan: The whole.
        piece: The piece.
        starts_at: Seconds of audio before it.
    """

    def __init__(self, plan: Plan, piece: Piece, starts_at: float) -> None:
        self.estimated: list[str] = []
        """Names of SSML's marks whose place was estimated."""
        self._plan = plan
        self._piece = piece
        self._starts_at = starts_at
        self._waiting = deque(sorted(piece.anchors, key=lambda anchor: (anchor.at, anchor.delay_s)))
        self._held: Mark | None = None  # of words that stand for one stretch of the caller's text, such as an alias
        self._heard = False

    def feed(self, marks: tuple[Mark, ...], shift_s: float) -> tuple[Mark, ...]:
        """Return the marks that are known with a chunk.

        Args:
            marks: The provider's, in the piece's own time and text.
            shift_s: Seconds that extensions have added so far.
        """
        result = self._reached(0, self._starts_at + shift_s)
        for mark in marks:
            placed = self._placed(mark, shift_s)
            if mark.kind == "word":
                self._heard = True
                if self._waiting:
                    anchors = self._reached(mark.span[0], placed.start)
                    result += [*self._released(), *anchors] if anchors else []
            result += self._merged(placed, mark)
        return tuple(result)

    def end(self, ends_at: float) -> tuple[Mark, ...]:
        """Return the marks that are left at the end of the piece.

        Args:
            ends_at: Seconds of audio up to there, the silence behind it left out.
        """
        result = self._released()
        size = max(1, len(self._piece.request.text))
        for anchor in self._waiting:
            at = ends_at + anchor.delay_s
            if anchor.at < size and not anchor.delay_s and not self._heard:
                at = self._starts_at + (ends_at - self._starts_at) * anchor.at / size
                self.estimated.append(anchor.bookmark.name)
            result.append(mark_of(anchor, at))
        self._waiting.clear()
        return tuple(result)

    def _reached(self, at: int, seconds: float) -> list[Mark]:
        """Return the waiting marks up to a character that begins to sound."""
        reached = []
        while self._waiting and self._waiting[0].at <= at and not self._waiting[0].delay_s:
            reached.append(mark_of(self._waiting.popleft(), seconds))
        return reached

    def _placed(self, mark: Mark, shift_s: float) -> Mark:
        stretch, offset = self._piece.stretch, self._piece.start
        return Mark(
            start=max(0.0, self._starts_at + mark.start / stretch + shift_s),
            end=max(0.0, self._starts_at + mark.end / stretch + shift_s),
            span=self._plan.to_original((mark.span[0] + offset, mark.span[1] + offset)),
            kind=mark.kind,
            name=mark.name,
        )

    def _merged(self, placed: Mark, mark: Mark) -> list[Mark]:
        """Return the marks that no later one can be part of."""
        if not self._plan.ssml or mark.kind != "word":
            return [placed]
        held = self._held
        if held is not None and held.span == placed.span:
            self._held = replace(held, end=max(held.end, placed.end))
            return []
        released = self._released()
        if self._plan.text[slice(*placed.span)] == self._piece.request.text[slice(*mark.span)]:
            return [*released, placed]
        self._held = placed
        return released

    def _released(self) -> list[Mark]:
        held, self._held = self._held, None
        return [] if held is None else [held]


def mark_of(anchor: Anchor, seconds: float) -> Mark:
    """Return the mark of a ``<mark>`` at a time."""
    return Mark(seconds, seconds, anchor.bookmark.span, "mark", anchor.bookmark.name)
