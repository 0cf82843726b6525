"""Cherokee syllables as the Latin letters that espeak's Cherokee voice reads; it knows no others."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from realtts.text import EditedText

if TYPE_CHECKING:
    from realtts_espeak.synthesis import Manner

__all__ = ["readable"]

_VOICE = "iro/chr"
_SYLLABLE = re.compile("[\u13a0-\u13fd\uab70-\uabbf]")


def readable(text: str, manner: Manner) -> EditedText:
    """Return a text in letters that the voice reads: its own, or Latin ones for those of Cherokee."""
    edited = EditedText(text)
    return edited.substituted(_SYLLABLE, _latin) if manner.voice.startswith(_VOICE) else edited


def _latin(match: re.Match[str]) -> str:
    """Return the last word of the character's name, "WA" of "CHEROKEE LETTER WA"."""
    name = unicodedata.name(match[0], " ").rsplit(" ", maxsplit=1)[-1].lower()
    return name.replace("qu", "gw")  # espeak reads "qu" as the name of an English letter
