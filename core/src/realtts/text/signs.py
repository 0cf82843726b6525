"""Spaces, hyphens and signs that have several characters become the usual ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.text.edited import EditedText

__all__ = ["plain_signs", "plain_spaces"]

_WIDTHS = "\x1c\x1d\x1e\x1f\u00a0\u1680\u202f\u205f\u2800\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_LINES = {"\x85": "\n", "\u2028": "\n", "\u2029": "\n\n"}
_SPACES = re.compile(f"[{_WIDTHS}{''.join(_LINES)}]")
_SIGNS = frozenset("\u00b4`\u2010\u2011\u2012\u2013\u2015\u207b\u208b\u2212\u2215\u2236\u2796\u2e3a\u2e3b")

_MINUS = re.compile(
    r"[\u2212\u2013](?:(?<![\w)\]%°].)(?<=\u2212)(?=[.,]?\d|[$€£¥₩₫₿]\s?\d)"
    r"|(?<![^\s(\[].)(?<!\d\s.)(?<=\u2013)(?=[.,]?\d))"
)
"""A minus before a number; an en dash there too, save where it stands between two numbers: from 3 –5."""

_OTHER_MINUS = re.compile(r"(?<![^\s(\[])[\u207b\u208b\u2796](?=[.,]?\d)")
"""A raised or lowered one, or the heavy one of emoji, that stands alone before a number of usual height."""

_APOSTROPHE = re.compile(r"[\u00b4`](?<=[^\W\d_].)(?=[^\W\d_])")
_RATIO = re.compile(r"(?<=\d)\s?\u2236\s?(?=\d)")
_TABLE = re.compile("[\u2010-\u2012\u2015\u2215\u2e3a\u2e3b]")
_PLAIN = {"\u2015": "—", "\u2215": "/", "\u2e3a": "—", "\u2e3b": "—"}


def plain_spaces(text: EditedText, language: str | None) -> EditedText:  # noqa: ARG001 - every step gets it
    """Replace spaces of every width by a space, and separators of lines and paragraphs by line breaks."""
    return text.substituted(_SPACES, lambda match: _LINES.get(match[0], " "))


def plain_signs(text: EditedText, language: str | None) -> EditedText:  # noqa: ARG001 - every step gets it
    """Replace hyphens by the hyphen, and a minus before a number by the one of keyboards.

    A minus between two terms stays: there a hyphen would be a dash.
    """
    if _SIGNS.isdisjoint(text.text):
        return text
    text = text.substituted(_MINUS, "-").substituted(_OTHER_MINUS, "-")
    text = text.substituted(_APOSTROPHE, "'")
    text = text.substituted(_RATIO, ":")
    return text.substituted(_TABLE, lambda match: _PLAIN.get(match[0], "-"))
