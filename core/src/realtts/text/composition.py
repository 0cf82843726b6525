"""Letters and the marks on them as one character where Unicode has one: the form NFC."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.text.edited import EditedText

__all__ = ["composed"]

_JAMO = "\u1160-\u11ff"
"""Vowels and finals of Korean syllables, which are letters to Unicode and no marks."""


def composed(text: EditedText, language: str | None) -> EditedText:  # noqa: ARG001 - every step gets it
    """Bring the text to NFC.

    Canonically equivalent texts are the same text, yet most models and most rules of pronunciation know one form only.
    """
    if unicodedata.is_normalized("NFC", text.text):
        return text
    chars = set(text.text)
    marks = re.escape("".join(sorted(char for char in chars if unicodedata.category(char)[0] == "M"))) + _JAMO
    others = re.escape("".join(sorted(char for char in chars if unicodedata.normalize("NFC", char) != char)))
    # Whatever composes begins with a character that is no mark: nothing reaches across its ends.
    clusters = re.compile(f"[^{marks}]?[{marks}]+" + (f"|[{others}]" if others else ""))
    forms = {cluster: unicodedata.normalize("NFC", cluster) for cluster in set(clusters.findall(text.text))}
    return text.substituted(clusters, lambda match: forms[match[0]])
