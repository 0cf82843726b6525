"""Alignment of a rewritten text with its original."""

from __future__ import annotations

import bisect
import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["align"]

Span = tuple[int, int]

_WINDOW = 64
_LARGEST_WINDOW = 4096
# So many equal words in a row are no coincidence.
_SURE = 4
_TOKEN = re.compile(r"\w+|[^\w\s]")


def align(original: str, changed: str) -> Callable[[Span], Span]:
    """Make a function that maps character spans of ``changed`` to spans of ``original``.

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
    """Return every token of the changed text with start and end of its source, and whether it is a copy."""
    old_words = [original[start:end] for start, end in old]
    new_words = [changed[start:end] for start, end in new]
    i = j = 0
    for i_copy, j_copy, count in _copies(old_words, new_words):
        source = (*_stretch(old, i, i_copy), False)
        for at in range(j, j_copy):
            yield new[at], source
        for at in range(count):
            yield new[j_copy + at], (*old[i_copy + at], True)
        i, j = i_copy + count, j_copy + count


def _copies(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int]]:
    """Return runs of equal words as (start in old, start in new, length); the last one is empty, at both ends.

    The texts are compared window by window, because difflib's time is quadratic. A window grows until what it finds
    in common is surely no coincidence.
    """
    i = j = 0
    window = _WINDOW
    while i < len(old) and j < len(new):
        equal = _common(old, new, i, j)
        if equal:
            yield i, j, equal
            i, j = i + equal, j + equal
            continue
        complete = i + window >= len(old) and j + window >= len(new)
        matcher = difflib.SequenceMatcher(None, old[i : i + window], new[j : j + window])
        blocks = [block for block in matcher.get_matching_blocks() if block.size]
        if not complete and window < _LARGEST_WINDOW:
            blocks = _sure(blocks, window)
            if not blocks:
                window *= 4
                continue
        yield from ((i + block.a, j + block.b, block.size) for block in blocks)
        last = blocks[-1] if blocks else difflib.Match(window, window, 0)
        i, j = i + last.a + last.size, j + last.b + last.size
        window = _WINDOW
    yield len(old), len(new), 0


def _sure(blocks: list[difflib.Match], window: int) -> list[difflib.Match]:
    """Return the blocks up to the last long one; all where half of the window is in common."""
    if sum(block.size for block in blocks) >= window // 2:
        return blocks
    long = [number for number, block in enumerate(blocks, 1) if block.size >= _SURE]
    return blocks[: long[-1]] if long else []


def _common(old: list[str], new: list[str], i: int, j: int) -> int:
    """Return the length of the run of equal words that begins at these positions."""
    count = 0
    while i + count < len(old) and j + count < len(new) and old[i + count] == new[j + count]:
        count += 1
    return count


def _stretch(tokens: list[Span], first: int, end: int) -> Span:
    """Return the span from the first token to the last; without any, an empty one behind the token before."""
    if first < end:
        return tokens[first][0], tokens[end - 1][1]
    at = tokens[first - 1][1] if first else 0
    return at, at
