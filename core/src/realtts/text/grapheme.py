"""Cutting a text without splitting a grapheme, which people see as one character."""

from __future__ import annotations

import unicodedata

__all__ = ["safe_cut"]

_ZERO_WIDTH_JOINER = "\u200d"
# Characters that join what stands before them, beside the combining marks: zero-width (non-)joiner, Thai and
# Lao sara am, Hangul vowels and finals, skin tones, tags (in flags).
_JOINING = (
    ("\u200c", "\u200d"),
    ("\u0e33", "\u0e33"),
    ("\u0eb3", "\u0eb3"),
    ("\u1160", "\u11ff"),
    ("\ud7b0", "\ud7fb"),
    ("\U0001f3fb", "\U0001f3ff"),
    ("\U000e0020", "\U000e007f"),
)
_VIRAMA_CLASS = 9
# No character that people write is longer; beyond it the cut is made anyway, so that the time stays linear.
_LONGEST = 64


def safe_cut(text: str, start: int, limit: int) -> int:
    """Return the last position from ``limit`` down, but after ``start``, that is not inside a grapheme.

    Returns ``limit`` itself where there is none.
    """
    for at in range(limit, max(start, limit - _LONGEST), -1):
        if not _inside(text, at):
            return at
    return limit


def _inside(text: str, at: int) -> bool:
    if at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    if (before == "\r" and after == "\n") or (before == _ZERO_WIDTH_JOINER and not after.isspace()):
        return True
    if unicodedata.category(after)[0] == "M" or any(low <= after <= high for low, high in _JOINING):
        return True
    if _is_regional(before) and _is_regional(after):
        return _regionals_before(text, at) % 2 == 1
    return unicodedata.combining(before) == _VIRAMA_CLASS and after.isalpha()


def _is_regional(char: str) -> bool:
    """Tell whether a character is half of a flag."""
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _regionals_before(text: str, at: int) -> int:
    count = 0
    while at - count > 0 and count < _LONGEST and _is_regional(text[at - count - 1]):
        count += 1
    return count
