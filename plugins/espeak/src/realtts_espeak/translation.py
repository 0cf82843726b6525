"""Texts as espeak translates them: the names of the phonemes, without a sound."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts_espeak import binding
from realtts_espeak.hazards import harmless

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Clause", "clauses", "phoneme_count"]

_SEPARATOR = "\u2022"
_PHONEME = re.compile(r"[^\W\d_][^\s\u2022]*|[@?&^#]\S*?(?=[\s\u2022]|$)|[^\s\u2022]*[^\W_][^\s\u2022]*")


@dataclass(frozen=True)
class Clause:
    """A clause as espeak sees it.

    Attributes:
        start: First character, or the one before it.
        end: One past the last character.
        phonemes: Their names, divided by marks of their own and by spaces between words.
    """

    start: int
    end: int
    phonemes: str


def clauses(library: ctypes.CDLL, text: str, voice: str) -> list[Clause]:
    """Translate a text, clause by clause.

    Args:
        library: From `realtts_espeak.library.fresh_library`, with the voice selected.
        text: Plain text, free of reserved characters.
        voice: espeak's identifier.
    """
    return list(_clauses(library, harmless(text, voice), text))


def _clauses(library: ctypes.CDLL, spoken: str, text: str) -> Iterator[Clause]:
    raw = spoken.encode()
    buffer = ctypes.create_string_buffer(raw)
    base = ctypes.addressof(buffer)
    place = ctypes.c_void_p(base)
    start = before = 0
    while place.value:
        phonemes = library.espeak_TextToPhonemes(ctypes.byref(place), binding.CHARS_UTF8, ord(_SEPARATOR) << 8)
        at = place.value - base if place.value else len(raw)
        end = start + len(raw[before:at].decode(errors="ignore"))
        yield Clause(max(0, start - 1), min(end, len(text)), (phonemes or b"").decode(errors="replace"))
        start, before = end, at


def phoneme_count(translated: list[Clause]) -> int:
    """Count the phonemes of clauses."""
    return sum(len(_PHONEME.findall(clause.phonemes)) for clause in translated)
