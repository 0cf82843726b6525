"""Cherokee syllables as the Latin letters that espeak's Cherokee voice reads; it knows no others."""

from __future__ import annotations

import unicodedata

__all__ = ["is_cherokee", "romanize"]

_VOICE = "iro/chr"


def is_cherokee(voice: str) -> bool:
    """Tell whether a voice, by espeak's identifier, is the one that reads Cherokee."""
    return voice.startswith(_VOICE)


def romanize(text: str) -> tuple[str, list[int]]:
    """Write the syllables of a text in Latin letters.

    Returns:
        The text, and for each of its characters and its end the index in ``text`` that it comes from.
    """
    written: list[str] = []
    origins: list[int] = []
    for index, char in enumerate(text):
        letters = _letters(char)
        written.append(letters)
        origins += [index] * len(letters)
    return "".join(written), [*origins, len(text)]


def _letters(char: str) -> str:
    name = unicodedata.name(char, "")
    if not name.startswith("CHEROKEE "):
        return char
    # espeak reads "qu" as the name of an English letter.
    return name.rsplit(maxsplit=1)[-1].lower().replace("qu", "gw")
