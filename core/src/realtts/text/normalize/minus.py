"""The minus before a number in a form whose rule takes no sign: fractions, powers of ten, and those without a zero."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.text.edited import EditedText
    from realtts.text.normalize.language import Language

__all__ = ["minus_in_words"]

_FRACTION = "[\u00bc-\u00be\u2150-\u215e\u2189]"
_FORM = rf"\.\d|,\d+(?![\d,.])|\d*\s?{_FRACTION}|\d+\s?[/\u2044]\s?\d+(?![\d/\u2044])|\d+(?:[.,]\d+)?[eE][-+\u2212]?\d"
_MINUS = re.compile(rf"(?<![^\s(\[{{=<>≈≤≥±+×*:])[-\u2212\u2013](?={_FORM})")
"""Behind a word or a number it is a dash or a subtraction, which other rules read."""


def minus_in_words(text: EditedText, language: Language) -> EditedText:
    """Return the text with such a minus in words.

    Args:
        text: Any.
        language: Whose word it is.
    """
    said = language.join(language.words.minus, "0")[:-1]
    return text.substituted(_MINUS, said)
