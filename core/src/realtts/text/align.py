"""Where a stretch of a rewritten text came from."""

from __future__ import annotations

import bisect
import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["align"]

Span = tuple[int, int]

_TOKEN = re.compile(r"\w+|[^\w\s]")


def align(original: str, changed: str) -> Callable[[Span], Span]:
    """A function that maps character spans of ``changed`` to spans of ``original``.

    Words that both texts share map to each other, character by character; a word that was rewritten maps to
    the whole stretch that it replaced; a word that was added maps to an empty span where it was put in.

    Args:
        original: The caller's text.
        changed: What an extension made of it.
    """
    if original == changed:
        return lambda span: span
    return _Alignment(original, changed)


class _Alignment:
    """Spans of the changed text's tokens, each with its source span and whether it is a copy."""

    def __init__(self, original: str, changed: str) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._sources: list[tuple[int, int, bool]] = []
        for (start, end), source in _pair(_tokens(original), _tokens(changed), original, changed):
            self._starts.append(start)
            self._ends.append(end)
            self._sources.append(source)

    def __call__(self, span: Span) -> Span:
        start, end = span
        first = bisect.bisect_right(self._ends, start)
        last = bisect.bisect_left(self._starts, end) - 1
        if last < first:  # white space only
            at = self._sources[last][1] if last >= 0 else 0
            return at, at
        return self._from(first, start), self._to(last, end)

    def _from(self, token: int, at: int) -> int:
        start, _, copied = self._sources[token]
        return start + max(0, at - self._starts[token]) if copied else start

    def _to(self, token: int, at: int) -> int:
        _, end, copied = self._sources[token]
        return end - max(0, self._ends[token] - at) if copied else end


def _tokens(text: str) -> list[Span]:
    return [match.span() for match in _TOKEN.finditer(text)]


def _pair(
    old: list[Span], new: list[Span], original: str, changed: str
) -> Iterator[tuple[Span, tuple[int, int, bool]]]:
    """Every token of the changed text with the start and end of its source and whether it is a copy."""
    old_words = [original[start:end] for start, end in old]
    new_words = [changed[start:end] for start, end in new]
    head = _common(old_words, new_words)
    tail = _common(old_words[: head - 1 if head else None : -1], new_words[: head - 1 if head else None : -1])
    old_end, new_end = len(old) - tail, len(new) - tail
    for i in range(head):
        yield new[i], (*old[i], True)
    # Common words are left out of the search (autojunk), which would otherwise be quadratic in their number.
    matcher = difflib.SequenceMatcher(None, old_words[head:old_end], new_words[head:new_end])
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                yield new[head + j], (*old[head + i], True)
        else:
            source = (*_stretch(old, head + i1, head + i2), False)
            for j in range(j1, j2):
                yield new[head + j], source
    for i in range(tail):
        yield new[new_end + i], (*old[old_end + i], True)


def _common(left: list[str], right: list[str]) -> int:
    """Length of the common beginning."""
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count


def _stretch(tokens: list[Span], first: int, end: int) -> Span:
    """From the first token to the last; without any, an empty span behind the one before."""
    if first < end:
        return tokens[first][0], tokens[end - 1][1]
    at = tokens[first - 1][1] if first else 0
    return at, at
