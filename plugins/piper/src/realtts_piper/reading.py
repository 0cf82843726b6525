"""What of a text a voice reads: characters that it has no sound for are named, and so are those it has no name for."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

from realtts.text import readable_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.text import ReadableText
    from realtts_piper.phonemizers import Phonemizer
    from realtts_piper.voice import PiperVoice

__all__ = ["Reader", "apart"]

_SPOKEN_PUNCTUATION = frozenset("%‰‱&@#§¶/\\")
_NUMBERS = frozenset({"Nd", "Nl", "No"})
_NAMELESS = ("\u1e9d", "\u2c76")
"""Letters that no language has: espeak-ng spells their codes behind the word for "letter"."""

_NEIGHBOURS = (-3, -2, -1, 1, 2, 3)
_LEAST_COMMON = 3
_LONG_RUN = re.compile(r"\S{60,}")
_RUN = 40
"""espeak-ng loses the end of a word of more than about 130 letters, without a word."""


class Reader:
    """Tells what a voice reads.

    Args:
        voice: Its configuration.
        phonemizer: Its own.
    """

    def __init__(self, voice: PiperVoice, phonemizer: Phonemizer) -> None:
        self._voice, self._phonemizer = voice, phonemizer
        self.reads: Callable[[str], bool] = functools.lru_cache(8192)(self._reads)
        self._letter = _beginning(*(self._alone(char) for char in _NAMELESS))

    def read(self, text: str) -> ReadableText:
        """Return a text without what the voice cannot read.

        Raises:
            UnspeakableText: Nothing is left.
        """
        language = self._voice.tags[0]
        nothing = f"the voice speaks {language}, and nothing of it can be read in that language"
        return readable_text(text, self.reads, who="piper", nothing=nothing)

    def _reads(self, char: str) -> bool:
        category = unicodedata.category(char)
        if self._voice.phoneme_type == "text":
            return all(part in self._voice.phoneme_id_map for part in unicodedata.normalize("NFD", char))
        if category[0] in "MZC" or (category[0] == "P" and char not in _SPOKEN_PUNCTUATION):
            return True
        alone = self._alone(char)
        # Some letters are silent alone, and so are ASCII's in some voices.
        heard = alone or char.isascii() or (category[0] == "L" and self._alone(char * 2))
        return bool(heard) and not self._is_nameless(char, alone)

    def _is_nameless(self, char: str, alone: str) -> bool:
        """Tell whether a character is read as "letter" with its code, or as any other of its script."""
        if char.isascii():
            return False
        if len(self._letter) >= _LEAST_COMMON and self._letter in alone:
            return True
        if not alone or unicodedata.category(char) in _NUMBERS:
            return False
        neighbours = [chr(ord(char) + step) for step in _NEIGHBOURS if 0 < ord(char) + step < 0x110000]
        alike = [each for each in neighbours if unicodedata.category(each) == unicodedata.category(char)]
        return len(alike) > 1 and all(self._alone(each) == alone for each in alike)

    def _alone(self, char: str) -> str:
        return "".join(phoneme for phoneme in self._phonemizer.word(char) if not phoneme.isspace() and phoneme != ".")


def _beginning(one: str, other: str) -> str:
    """Return what two texts begin with."""
    end = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    return one[:end] if end is not None else min(one, other, key=len)


def apart(text: str) -> list[tuple[int, int, str]]:
    """Return edits that put spaces into words which are too long for espeak-ng."""
    edits = []
    for run in _LONG_RUN.finditer(text):
        edits += [(at, at, " ") for at in range(run.start() + _RUN, run.end(), _RUN)]
    return edits
