"""How alike words are, and which of two runs of words belong together."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["joined_alike", "matches"]

ALIKE = 0.5
"""Likeness of letters from which a word counts as heard, if written otherwise: recognizers misspell names."""

SAME = 0.85
"""Likeness of letters from which a run of words counts as the same, however it is divided into words."""

_MOST_PAIRS = 4096


def joined_alike(said: Sequence[str], heard: Sequence[str]) -> bool:
    """Tell whether two runs of words are the same but for where words end, or how one is spelled."""
    return bool(said and heard) and _likeness("".join(said), "".join(heard)) >= SAME


def _likeness(said: str, heard: str) -> float:
    """Return how alike two words are, from 0 to 1; numbers are equal or not alike at all."""
    digits = "".join(filter(str.isdigit, said)), "".join(filter(str.isdigit, heard))
    if any(digits):
        signs = said.startswith("-") == heard.startswith("-")
        return float(digits[0] == digits[1] and signs)
    return difflib.SequenceMatcher(None, said, heard, autojunk=False).ratio()


def matches(said: Sequence[str], heard: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield pairs of words that are alike, in order: those with the greatest sum of likenesses."""
    if not 0 < len(said) * len(heard) <= _MOST_PAIRS:
        return
    best = [[0.0] * (len(heard) + 1) for _ in range(len(said) + 1)]
    alike = [[_likeness(a, b) for b in heard] for a in said]
    for i in reversed(range(len(said))):
        for j in reversed(range(len(heard))):
            match = alike[i][j] + best[i + 1][j + 1] if alike[i][j] >= ALIKE else 0.0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], match)
    i = j = 0
    while i < len(said) and j < len(heard):
        if alike[i][j] >= ALIKE and best[i][j] == alike[i][j] + best[i + 1][j + 1]:
            yield i, j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
