"""A text that is still being written, as it is spoken, and where each of its characters came from."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.errors import BlankText, UnspeakableText
from realtts.synthesis.markup_pieces import Written

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.synthesis.plan import Outline

__all__ = ["GrowingText"]

Span = tuple[int, int]


@dataclass(frozen=True)
class _Stretch:
    """A stretch of the prepared text, and where it came from.

    Attributes:
        start: In the prepared text.
        length: In the prepared text.
        origin: Where it begins in the caller's text.
        to_original: Maps spans inside of it.
    """

    start: int
    length: int
    origin: int
    to_original: Callable[[Span], Span]

    def original(self, start: int, end: int) -> Span:
        left, right = self.to_original((start - self.start, end - self.start))
        return left + self.origin, right + self.origin


class GrowingText:
    """What extensions, front end and normalization make of a text, sentence by sentence.

    Args:
        outline: Of the call.

    Attributes:
        length: Characters of the text as it is spoken.
    """

    def __init__(self, outline: Outline) -> None:
        self.length = 0
        self._outline = outline
        self._origin = 0  # characters of the caller's text
        self._stretches: list[_Stretch] = []

    def add(self, text: str) -> str:
        """Return what becomes of a sentence; white space around it stays.

        Raises:
            ExtensionError: An extension failed. InputError: what it returned cannot be spoken.
        """
        body = text.strip()
        lead, written = text.find(body) if body else len(text), Written(body, _same)
        if body:
            try:
                written = self._outline.write(body, self._outline.template.language)
            except (BlankText, UnspeakableText):  # an extension leaves nothing of it
                written = Written("", _same)
        after = lead + len(body)
        self._put(text[:lead], 0, _same)
        self._put(written.text, lead, written.to_original)
        self._put(text[after:], after, _same)
        self._origin += len(text)
        return text[:lead] + written.text + text[after:]

    def to_original(self, span: Span) -> Span:
        """Map a span of the text as it is spoken to one of the caller's text."""
        if not self._stretches:
            return 0, 0
        first, last = self._stretch_at(span[0]), self._stretch_at(max(span[0], span[1] - 1))
        if first is last:
            return first.original(*span)
        start = first.original(span[0], first.start + first.length)[0]
        return start, max(start, last.original(last.start, span[1])[1])

    def _put(self, text: str, at: int, to_original: Callable[[Span], Span]) -> None:
        """Add a stretch of the text as it is spoken, from a place in the sentence that is being added."""
        if text:
            self._stretches.append(_Stretch(self.length, len(text), self._origin + at, to_original))
            self.length += len(text)

    def _stretch_at(self, place: int) -> _Stretch:
        at = bisect.bisect_right(self._stretches, place, key=lambda stretch: stretch.start) - 1
        return self._stretches[max(0, at)]


def _same(span: Span) -> Span:
    return span
