"""Letters and digits that a voice has no sound for, as those that it reads.

espeak's Cherokee voice reads Latin letters only, and nearly every voice only the digits of its own script and ASCII.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from realtts.text import EditedText
from realtts_espeak.fitting import is_silent

if TYPE_CHECKING:
    from realtts_espeak.synthesis import Manner

__all__ = ["readable"]

_CHEROKEE = "iro/chr"
_SYLLABLE = re.compile("[\u13a0-\u13fd\uab70-\uabbf]")
_DIGITS = re.compile(r"(?:(?![0-9])\d)+")


def readable(text: str, manner: Manner) -> EditedText:
    """Return a text in letters and digits that the voice reads.

    Raises:
        BrokenProvider: The library cannot be loaded.
    """
    edited = EditedText(text)
    if manner.voice.startswith(_CHEROKEE):
        edited = edited.substituted(_SYLLABLE, _latin)
    return edited.substituted(_DIGITS, lambda match: _digits(match[0], manner.voice))


def _latin(match: re.Match[str]) -> str:
    """Return the last word of the character's name, "WA" of "CHEROKEE LETTER WA"."""
    name = unicodedata.name(match[0], " ").rsplit(" ", maxsplit=1)[-1].lower()
    return name.replace("qu", "gw")  # espeak reads "qu" as the name of an English letter


def _digits(number: str, voice: str) -> str:
    if not is_silent(number, voice):
        return number
    return "".join(str(unicodedata.decimal(char)) for char in number)
