"""What of a text is read in a language, and what is named as unread: without weights."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from realtts.errors import UnspeakableText
from realtts.kit.english import LETTERS, MARKS
from realtts.text import EditedText, readable_text
from realtts.text.english_signs import in_words
from realtts.text.reading import Reading
from realtts_kokoro.catalogue import language_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.spec import Checkpoint
    from realtts.contract.types import Unread
    from realtts_kokoro.catalogue import Language

__all__ = ["read", "unread_in"]

_ENGLISH = LETTERS | MARKS | frozenset("'- \t\n\r")
_SCRIPTS = {"h": ("DEVANAGARI", "LATIN"), "j": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"), "z": ("CJK",)}
"""Beginnings of Unicode's names of letters, by language; of all others Latin."""

_SPOKEN_PUNCTUATION = frozenset("%‰@&#§¶/\\")
_SPELLED = frozenset("jz")
"""Languages whose phonemizers leave out signs."""


def read(text: str, language: Language, sounds: Callable[[str], bool]) -> Reading:
    """Return what of a text can be spoken.

    Args:
        text: As the core prepares it.
        language: In which it is read.
        sounds: Tells whether a sign alone is heard; not called for English.

    Raises:
        UnspeakableText: Nothing of it.
    """
    from dataclasses import replace

    english = language.letter in "ab"
    words = in_words(EditedText(text)) if english else EditedText(text)
    readable = readable_text(
        words.text,
        _ENGLISH.__contains__ if english else lambda char: _reads(char, language, sounds),
        who="kokoro",
        nothing=f"it is read as {language.tag!r}, and nothing of it can be read so",
    )
    unread = tuple(replace(each, span=words.to_original(each.span)) for each in readable.unread)
    return Reading(words, readable.edited, unread)


def _reads(char: str, language: Language, sounds: Callable[[str], bool]) -> bool:
    category = unicodedata.category(char)
    if category[0] in "MZC" or (category[0] == "P" and char not in _SPOKEN_PUNCTUATION):
        return True
    if category == "Nd":
        return char.isascii() or language.letter == "h"
    name = unicodedata.name(char, "").split(" ")[0]
    if category[0] == "L":
        return name in _SCRIPTS.get(language.letter, ("LATIN",))
    return language.letter not in _SPELLED and sounds(char)


def unread_in(checkpoint: Checkpoint | None, text: str, language: str | None) -> tuple[Unread, ...] | None:  # noqa: ARG001
    """Return the characters of an English text that are not said as they stand; None: of another language.

    Raises:
        UnspeakableText: Nothing of it can be said.
    """
    chosen = language_of(language or "en-us")
    if chosen.letter not in "ab":
        return None
    try:
        return read(text, chosen, lambda _: False).unread
    except UnspeakableText:
        if language is None:  # the voice may speak another language
            return None
        raise
