"""The longest that speech of a text can last; what a model says beyond that is not speech."""

from __future__ import annotations

import unicodedata

__all__ = ["most_seconds"]

_DENSE = ("ja", "ko", "zh")
"""Languages that write a syllable or more with one character; their scripts lie behind the others in Unicode."""

_FIRST_DENSE = "\u2e80"

_WORDS, _SHARES = ("Nd", "Sc"), "%\u2030"
"""What is read as words: digits and currencies, by their category in Unicode, and signs of per cent and per mille."""


def most_seconds(text: str, language: str | None = None) -> float:
    """Return the most seconds that a text can need: 2.5 s, and three times the length of ordinary speech.

    A limit for models that may miss the end and go on. A digit, or a sign of a currency or of a share, is a word of its
    own or more.

    Args:
        text: What is said.
        language: BCP 47 tag; None: the text tells.
    """
    if language is None:
        dense = 2 * sum(letter >= _FIRST_DENSE for letter in text) > len(text)
    else:
        dense = language.partition("-")[0] in _DENSE
    each = 0.5 if dense else 0.2
    return 2.5 + sum(0.8 if unicodedata.category(letter) in _WORDS or letter in _SHARES else each for letter in text)
