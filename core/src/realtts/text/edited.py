"""A text that steps have rewritten, with the place in the original that each of its characters came from."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable

__all__ = ["Edit", "EditedText"]

Span = tuple[int, int]
Edit = tuple[int, int, str]
"""Start, end and replacement: the characters from start to end become the replacement."""


@dataclass(frozen=True)
class _Run:
    """Characters of the edited text that come from one stretch of the original.

    Attributes:
        start: First character in the edited text.
        source: First character in the original.
        length: Characters of the original.
        copied: The characters stand there as they are, so that each maps to its own.
    """

    start: int
    source: int
    length: int
    copied: bool


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
        self._runs: tuple[_Run, ...] = (_Run(0, 0, len(original), copied=True),)
        self._starts: tuple[int, ...] = (0,)

    def replaced(self, edits: Iterable[Edit]) -> EditedText:
        """Return the text with stretches of ``text`` replaced.

        Args:
            edits: Start, end and replacement, by position in ``text``, in order, none overlapping another.

        Raises:
            ValueError: The edits are out of order or out of range.
        """
        parts: list[str] = []
        runs: list[_Run] = []
        at = size = 0
        for start, end, replacement in edits:
            if not at <= start <= end <= len(self.text):
                raise ValueError(f"edit of {start} to {end} behind {at} in a text of {len(self.text)} characters")
            if replacement == self.text[start:end]:
                continue
            size = self._copy(at, start, size, parts, runs)
            source, source_end = self.to_original((start, end))
            if replacement:
                runs.append(_Run(size, source, source_end - source, copied=False))
                parts.append(replacement)
                size += len(replacement)
            at = end
        if not at and not runs:
            return self
        self._copy(at, len(self.text), size, parts, runs)
        return self._made("".join(parts), runs)

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
        start, end = span
        first = self._source(start)[0]
        if end <= start:
            return first, first
        return first, max(first, self._source(end - 1)[1])

    def _source(self, at: int) -> Span:
        """Return the stretch of the original that one character came from; behind the last one, the end."""
        if at >= len(self.text) or not self._runs:
            return len(self.original), len(self.original)
        run = self._runs[bisect.bisect_right(self._starts, at) - 1]
        if not run.copied:
            return run.source, run.source + run.length
        place = run.source + at - run.start
        return place, place + 1

    def _copy(self, start: int, end: int, size: int, parts: list[str], runs: list[_Run]) -> int:
        """Take over the characters from start to end with their sources; return the new size."""
        if start >= end:
            return size
        parts.append(self.text[start:end])
        at = start
        index = bisect.bisect_right(self._starts, start) - 1
        while at < end:
            run = self._runs[index]
            stop = self._starts[index + 1] if index + 1 < len(self._starts) else len(self.text)
            taken = min(stop, end) - at
            if run.copied:
                runs.append(_Run(size, run.source + at - run.start, taken, copied=True))
            else:
                runs.append(_Run(size, run.source, run.length, copied=False))
            size, at, index = size + taken, at + taken, index + 1
        return size

    def _made(self, text: str, runs: list[_Run]) -> EditedText:
        edited = EditedText.__new__(EditedText)
        edited.original, edited.text = self.original, text
        edited._runs = tuple(runs)
        edited._starts = tuple(run.start for run in runs)
        return edited
