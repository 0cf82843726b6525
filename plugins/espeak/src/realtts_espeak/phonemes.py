"""Pronunciations in IPA as espeak's own names of phonemes.

Which phonemes a voice has, and how each is written in IPA, is asked of espeak itself, voice by voice.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import re
import string
import unicodedata
from typing import TYPE_CHECKING

from realtts_espeak import binding
from realtts_espeak.library import fresh_library, select_voice

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["mnemonics"]

_OWN = frozenset({"espeak", "x-espeak", "espeak-ng", "kirshenbaum", "x-kirshenbaum"})
_OWN_FORM = re.compile(r"[\w@?&:~;#^'\",|*!%=+ -]{1,120}", re.ASCII)
_LONGEST = 120
"""Bytes of names that espeak holds in a word, with room to spare."""

_FIRST = string.ascii_letters + "@?&0123456789*"
_SECOND = ':IUYEO@~2;3#SZszLRr^`"'
_IPA = 2  # mode of espeak_TextToPhonemes
_PHONEMES = binding.CHARS_UTF8 | binding.PHONEMES

_MARKS = {"ˈ": "'", "'": "'", "ˌ": ",", " ": "_:"}
_SILENT = frozenset("\u0361\u035c\u203f.|‖ʰˑ\u0329\u032f\u0325\u0330\u032a/[]")
"""Ties, breaks and marks of detail that espeak has no names for; they change a sound less than its neighbours do."""

_NEAREST = {
    "g": "ɡ", "ɹ": "r", "ɻ": "ɹ r", "ʀ": "ʁ r", "ʁ": "r", "r": "ɾ ɹ ʁ", "ɾ": "r", "ɫ": "l", "ɭ": "l", "l": "ɫ ɭ",
    "a": "æ a\u0308 ɐ ɑː", "æ": "a ɛ", "ɑ": "ɑː a", "ɑː": "aː a", "ɒ": "ɔ ɑ", "ɐ": "ə a", "ʌ": "ɐ a", "ɜ": "ɜː ə",
    "e": "e\u031e ɛ", "ɛ": "e", "ə": "ɐ ɛ", "ɜː": "ɚ ə", "ɝ": "ɜː ɚ", "ɚ": "ə", "ɵ": "ø ə", "ɤ": "ə o",
    "i": "iː ɪ", "ɪ": "i", "ɨ": "ɪ i", "o": "o\u031e oː oʊ ɔ", "ɔ": "o", "u": "uː ɯᵝ ʊ", "ʊ": "u", "ʉ": "u",
    "ɯ": "ɯᵝ ɨ u",
    "y": "yː ʏ u", "ʏ": "y", "ø": "øː œ e", "œ": "ø ɛ", "ç": "ʃ x", "x": "χ h", "χ": "x h", "ħ": "h", "ɦ": "h",
    "ɣ": "ɡ", "β": "b", "ʋ": "v w", "v": "ʋ", "w": "ʊ u", "ɥ": "y w", "ɲ": "n", "ʎ": "l", "ɕ": "ʃ", "ʑ": "ʒ",
    "ʂ": "ʃ", "ʐ": "ʒ", "ɧ": "ʃ", "θ": "t", "ð": "d", "ŋ": "n", "ɱ": "m", "ɳ": "n", "ʈ": "t", "ɖ": "d", "ɟ": "d",
    "c": "k", "q": "k", "ɢ": "ɡ",
}  # fmt: skip
"""The nearest sounds where a voice has not the one that is asked for, best first."""

_DROPPED = frozenset("ʔʲʷːˤˠ\u0303")
"""What may be missing without another sound in its place."""


def mnemonics(phonemes: str, alphabet: str, voice: str) -> str | None:
    """Return a pronunciation in espeak's names of phonemes; None where espeak cannot speak it.

    Args:
        phonemes: The pronunciation.
        alphabet: ``"ipa"``, or ``"espeak"`` for espeak's own names.
        voice: espeak's identifier, with ``+variant``.
    """
    if alphabet in _OWN:
        return phonemes if _OWN_FORM.fullmatch(phonemes) else None
    if alphabet != "ipa":
        return None
    names = _names(voice.partition("+")[0])
    parts: list[str] = []
    text = unicodedata.normalize("NFD", phonemes).replace("c\u0327", "ç").replace(":", "ː")
    while text:
        taken, name = _longest(text, names)
        if name is None:
            return None
        if name:
            parts.append(name)
        text = text[taken:]
    result = "|".join(parts).replace("'|", "'").replace(",|", ",")
    return result if any(name not in _MARKS.values() for name in parts) and len(result) <= _LONGEST else None


def _longest(text: str, names: Mapping[str, str]) -> tuple[int, str | None]:
    """Return the length of the longest beginning that is a phoneme, and its name; None: no beginning is."""
    if text[0] in _MARKS:
        return 1, _MARKS[text[0]]
    if text[0] in _SILENT:
        return 1, ""
    for size in range(min(4, len(text)), 0, -1):
        if text[:size] in names:
            return size, names[text[:size]]
    for size in (2, 1):
        waiting, seen = [text[:size]], set()
        for sound in waiting:  # it grows meanwhile
            if sound in names:
                return size, names[sound]
            if sound not in seen:
                seen.add(sound)
                waiting += _NEAREST.get(sound, "").split()
    return (1, "") if text[0] in _DROPPED else (0, None)


@functools.lru_cache(32)
def _names(voice: str) -> dict[str, str]:
    """Return a voice's phonemes: espeak's names by IPA."""
    names: dict[str, str] = {}
    sounds: dict[str, str] = {}
    nothing = binding.SynthCallback(lambda *_: 0)
    with fresh_library() as library, contextlib.suppress(UnicodeDecodeError):
        library.espeak_SetSynthCallback(nothing)
        select_voice(library, voice)
        library.espeak_Synth(b" ", 2, 0, 1, 0, _PHONEMES, None, None)  # makes it read phonemes in brackets

        def translated(name: str, mode: int) -> str:
            buffer = ctypes.create_string_buffer(f"[[{name}]]".encode())
            place = ctypes.c_void_p(ctypes.addressof(buffer))
            phonemes = library.espeak_TextToPhonemes(ctypes.byref(place), _PHONEMES, mode)
            return re.sub("[',_ ˈˌ]", "", (phonemes or b"").decode())

        for name in [*_FIRST, *(first + second for first in _FIRST for second in _SECOND)]:
            ipa = translated(name, _IPA)
            # Two phonemes side by side have names already.
            if translated(name, 0) == name and ipa and not ipa.isdigit() and ipa != _side_by_side(name, sounds):
                names.setdefault(unicodedata.normalize("NFD", ipa).replace("c\u0327", "ç"), name)
                sounds[name] = ipa
    return names


def _side_by_side(name: str, sounds: Mapping[str, str]) -> str:
    """Return the IPA of two phonemes whose names of one character make a name of two."""
    return "".join(sounds.get(char, " ") for char in name) if len(name) > 1 else ""
