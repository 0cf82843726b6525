"""When each word of a known text is spoken, by what a recognizer has heard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realtts.contract.types import Mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.listening.account import Pair, WordAccount

__all__ = ["word_marks"]

_WORD = re.compile(r"[^\W_]+(?:['’.,:\-][^\W_]+)*")
_SOLID = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Letters of scripts without spaces between words: each gets a timing of its own."""


def word_marks(account: WordAccount, seconds: float) -> tuple[Mark, ...]:
    """Return a mark for every word of the account's text, in order, none beginning before the one before it ends.

    Words that were heard stand where they were heard; those between them share the time that is left, in proportion to
    their letters.

    Args:
        account: Of the audio.
        seconds: Its length.
    """
    spans = _words(account.text)
    times = _filled(spans, [_heard_at(span, account.pairs) for span in spans], seconds)
    marks, reached = [], 0.0
    for span, (start, end) in zip(spans, times, strict=True):
        first = min(max(start, reached), seconds)
        reached = min(max(first, end), seconds)
        marks.append(Mark(first, reached, span))
    return tuple(marks)


def _words(text: str) -> list[tuple[int, int]]:
    spans = []
    for match in _WORD.finditer(text):
        start = match.start()
        for letter in _SOLID.finditer(text, *match.span()):
            if start < letter.start():
                spans.append((start, letter.start()))
            spans.append(letter.span())
            start = letter.end()
        if start < match.end():
            spans.append((start, match.end()))
    return spans


def _heard_at(span: tuple[int, int], pairs: Sequence[Pair]) -> tuple[float, float] | None:
    """Return when a word was heard; None: it was not."""
    over = [pair for pair in pairs if pair.span[0] < span[1] and span[0] < pair.span[1]]
    if not over:
        return None
    return _reached(over[0], span[0]), _reached(over[-1], span[1])


def _reached(pair: Pair, at: int) -> float:
    """Return when a character of a stretch is reached, which may be a part of it."""
    first, last = pair.span
    part = min(1.0, max(0.0, (at - first) / (last - first)))
    return pair.start + part * (pair.end - pair.start)


def _filled(
    spans: Sequence[tuple[int, int]], times: Sequence[tuple[float, float] | None], seconds: float
) -> list[tuple[float, float]]:
    """Return the times with those that are unknown between their neighbours."""
    filled: list[tuple[float, float]] = []
    for index, time in enumerate(times):
        if time is not None:
            filled.append(time)
            continue
        begins = filled[-1][1] if filled else 0.0
        following = next((at for at in range(index, len(times)) if times[at] is not None), len(times))
        known = times[following] if following < len(times) else None
        left = max(0.0, (seconds if known is None else known[0]) - begins)
        letters = [end - start for start, end in spans[index:following]]
        filled.append((begins, begins + left * letters[0] / sum(letters)))
    return filled
