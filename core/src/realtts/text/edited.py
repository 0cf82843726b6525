"""A text that steps have rewritten, with the place in the original that each of its characters came from."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable

__all__ = ["Edit", "EditedText"]

Span = tuple[int, int]
Edit = tuple[int, int, str]
"""Start, end and replacement: the characters from start to end become the replacement."""


class EditedText:
    """A text and the original that it was made from by replacing stretches of it.

    A character that was copied maps to its own place in the original, one that was put in maps to the whole stretch
    that its replacement stands for. Values do not change: each edit makes a new one.

    Args:
        original: The caller's text.

    Attributes:
        original: The caller's text.
        text: What became of it.
    """

    def __init__(self, original: str) -> None:
        self.original = original
        self.text = original
        # Each text knows the one before it and where they differ, so that an edit costs the same in any text.
        self._before: EditedText | None = None
        self._starts: list[int] = []
        self._replaced: list[tuple[int, int, int]] = []

    def replaced(self, edits: Iterable[Edit]) -> EditedText:
        """Return the text with stretches of ``text`` replaced.

        Args:
            edits: Start, end and replacement, by position in ``text``, in order, none overlapping another.

        Raises:
            ValueError: The edits are out of order or out of range.
        """
        text = self.text
        parts: list[str] = []
        starts: list[int] = []
        replaced: list[tuple[int, int, int]] = []
        at = size = 0
        for start, end, replacement in edits:
            if not at <= start <= end <= len(text):
                raise ValueError(f"edit of {start} to {end} behind {at} in a text of {len(text)} characters")
            if text[start:end] != replacement:
                parts.append(text[at:start])
                parts.append(replacement)
                size += start - at
                starts.append(size)
                size += len(replacement)
                replaced.append((size, start, end))
                at = end
        if not starts:
            return self
        parts.append(text[at:])
        edited = EditedText(self.original)
        edited.text, edited._before = "".join(parts), self
        edited._starts, edited._replaced = starts, replaced
        return edited

    def substituted(self, pattern: re.Pattern[str], replacement: str | Callable[[re.Match[str]], str]) -> EditedText:
        """Return the text with every match of a pattern replaced, as `re.Pattern.sub` does.

        Args:
            pattern: What to look for in ``text``.
            replacement: A template as `re.Match.expand` takes it, or a function of the match.
        """
        make = replacement if callable(replacement) else lambda match: match.expand(replacement)
        return self.replaced((*match.span(), make(match)) for match in pattern.finditer(self.text))

    def to_original(self, span: Span) -> Span:
        """Return the span of the original that a span of ``text`` came from.

        An empty span maps to an empty one.
        """
        edited, before = self, self._before
        while before is not None:
            span = edited._to_before(span, len(before.text))
            edited, before = before, before._before
        start, end = (min(place, len(self.original)) for place in span)
        return start, max(start, end)

    def _to_before(self, span: Span, length: int) -> Span:
        """Return the span of the text before the last edits; ``length`` is that text's."""
        start, end = span
        first = self._source(start, length)[0]
        if end <= start:
            return first, first
        return first, max(first, self._source(end - 1, length)[1])

    def edits(self) -> list[Edit]:
        """Return the edits that make ``text`` of the original in one step, in order."""
        edits: list[Edit] = []
        done = 0  # characters of the original that are accounted for
        first = last = 0
        put_in: list[str] = []  # for the original from first to last
        spans = [self.to_original((at, at + 1)) for at in range(len(self.text))]
        for at, (char, (start, end)) in enumerate(zip(self.text, spans, strict=True)):
            if put_in and (start < last or (start, end) == (first, last)):
                last = max(last, end)
                put_in.append(char)
                continue
            if put_in:
                edits.append((first, last, "".join(put_in)))
                done, put_in = last, []
            if start > done:
                edits.append((done, start, ""))
                done = start
            if end - start == 1 and self.original[start] == char and (start, end) not in spans[at + 1 : at + 2]:
                done = end
            else:
                first, last, put_in = start, end, [char]
        if put_in:
            edits.append((first, last, "".join(put_in)))
            done = last
        if done < len(self.original):
            edits.append((done, len(self.original), ""))
        return edits

    def first_from(self, at: int) -> int:
        """Return the first character of ``text`` that comes from a character of the original or from behind it.

        What was put in where nothing stood does not count; without such a character, the length of ``text``.
        """
        return bisect.bisect_right(range(len(self.text)), at, key=lambda place: self.to_original((place, place + 1))[1])

    def _source(self, at: int, length: int) -> Span:
        """Return the stretch before the last edits that one character came from; behind the last one, the end."""
        if at >= len(self.text):
            return length, length
        index = bisect.bisect_right(self._starts, at) - 1
        if index < 0:
            return at, at + 1
        replaced_end, start, end = self._replaced[index]
        if at < replaced_end:
            return start, end
        place = end + at - replaced_end
        return place, place + 1
