"""Texts cut so that espeak speaks all of them: nothing crashes it, and nothing falls off its ends.

A text that fits stays whole. Whether it does is asked of espeak itself, by what it translates the text to: of a
clause that is too long the end is missing, so that the clause without its last word gives the same; of a word that is
too long the phonemes are fewer than those of its halves.
"""

from __future__ import annotations

import contextlib
import functools
import re
from typing import TYPE_CHECKING

from realtts.text.grapheme import safe_cut
from realtts_espeak.library import fresh_library, select_voice
from realtts_espeak.limits import CHAIN, best_cut, overflows, units
from realtts_espeak.translation import clauses, phoneme_count

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterable, Iterator

    from realtts_espeak.translation import Clause

__all__ = ["cuts", "is_silent", "phoneme_names", "silent_among"]

_IDEOGRAPHS = ("sit/cmn", "sit/yue", "sit/hak")

_PHONEMES = 900
"""espeak holds 1000 in a clause, pauses included; texts that cannot come near are not looked at."""

_NEAR_PHONEMES, _NEAR_WORDS, _NEAR_BYTES = 500, 120, 500
"""A clause beyond one of these may have lost its end."""

_LONG_WORD, _LONG_NUMBER, _LONG_CHAIN = 16, 18, 8
"""Letters of a word, digits of a number and dotted letters beyond which some may be lost: of letters that are spelled,
espeak holds between 18 and 66."""

_RUN_PHONEMES = 150

_LATIN, _OTHER, _DIGIT, _SYMBOL = 4, 14, 10, 40
"""Phonemes of a character at most; letters of other scripts may be read by their names."""

_PLAIN = re.compile(r"[a-zà-öø-ÿ]+|[A-ZÀ-ÖØ-Þ][a-zà-öø-ÿ]+")
_SPELLED = re.compile("[^aeiouyà-öø-ÿ]{6}")
"""No vowel for so long: letters may be read by their names."""

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_](?:[^\W\d_]|['’])*")
_PICTURES = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff][\u2190-\u2bff\u200d\ufe0f\U0001f000-\U0001faff]{2,}")
"""Symbols side by side are one word to espeak, with names of several words each."""

_QUIET = frozenset(" \t\n\r.,;:!?'\"()-“”‘’„«»…–—、。，！？；：।؟،")


def cuts(text: str, voice: str, *, named: bool = False) -> list[int]:
    """Return where a text must be cut so that espeak speaks all of it.

    Args:
        text: Plain text, free of reserved characters.
        voice: espeak's identifier.
        named: Whether punctuation is named.

    Returns:
        Positions in order; none for nearly all texts.

    Raises:
        BrokenProvider: The library cannot be loaded.
    """
    found = _safe_cuts(text, voice, named=named)
    if not found and _is_small(text) and not named:
        return []
    with _speaking(voice) as library:
        parts = _parts(len(text), found)
        return sorted({*found, *(cut for start, end in parts for cut in _lossless(library, text, start, end, voice))})


@functools.lru_cache(4096)
def is_silent(word: str, voice: str) -> bool:
    """Tell whether espeak has nothing to say for a word."""
    with _speaking(voice) as library:
        return phoneme_count(clauses(library, word, voice)) == 0


def silent_among(words: Iterable[str], voice: str) -> frozenset[str]:
    """Return the words for which espeak has nothing to say."""
    with _speaking(voice) as library:
        return frozenset(word for word in set(words) if phoneme_count(clauses(library, word, voice)) == 0)


@functools.lru_cache(1024)
def phoneme_names(text: str, voice: str) -> str:
    """Return the names of the phonemes of a short text."""
    with _speaking(voice) as library:
        return _names(clauses(library, text, voice))


@contextlib.contextmanager
def _speaking(voice: str) -> Iterator[ctypes.CDLL]:
    with fresh_library() as library:
        select_voice(library, voice)
        yield library


def _safe_cuts(text: str, voice: str, *, named: bool) -> list[int]:
    """Return cuts that keep espeak inside its arrays."""
    ideographs = voice.startswith(_IDEOGRAPHS)
    found: list[int] = []
    waiting = [(0, len(text))]
    while waiting:
        start, end = waiting.pop()
        span = overflows(text[start:end], ideographs=ideographs, named=named)
        if span is not None:
            cut = best_cut(text, start + span[0], start + span[1])
            found.append(cut)
            waiting += [(start, cut), (cut, end)]
    return sorted(found)


def _parts(length: int, found: list[int]) -> list[tuple[int, int]]:
    return list(zip([0, *found], [*found, length], strict=True))


def _is_small(text: str) -> bool:
    """Tell whether a text has so few phonemes in all, and so short words, that espeak holds them for certain."""
    if any(len(match[0]) > 2 * _LONG_CHAIN for match in CHAIN.finditer(text)):
        return False
    total = 0
    for match in re.finditer(r"\S+", text):
        size = _size(match[0])
        if size > _RUN_PHONEMES:
            return False
        total += size + 1
    return total <= _PHONEMES


def _size(run: str) -> int:
    size = 0
    for match in _PLAIN.finditer(run):
        size += (_OTHER if _SPELLED.search(match[0]) else _LATIN) * len(match[0])
    for char in _PLAIN.sub("", run):
        if char in _QUIET:
            size += 1
        elif char.isdigit():
            size += _DIGIT
        else:
            size += _OTHER if char.isalpha() else _SYMBOL
    return size


def _lossless(library: ctypes.CDLL, text: str, start: int, end: int, voice: str) -> list[int]:
    """Return cuts inside a part, so that no clause or word of it loses its end."""
    found: list[int] = []
    waiting = [(start, end)]
    while waiting:
        left, right = waiting.pop()
        part = text[left:right]
        span = _lossy_word(library, part, voice) or _lossy_clause(library, part, voice)
        if span is not None and span[1] - span[0] > 1:
            cut = best_cut(text, left + span[0], left + span[1])
            found.append(cut)
            waiting += [(left, cut), (cut, right)]
    return found


def _lossy_word(library: ctypes.CDLL, text: str, voice: str) -> tuple[int, int] | None:
    for match in CHAIN.finditer(text):
        if len(match[0]) > 2 * _LONG_CHAIN and _is_full(library, match[0], voice):
            return match.span()
    for match in _PICTURES.finditer(text):
        if _loses(library, match[0], voice):
            return match.span()
    for match in _WORD.finditer(text):
        word = match[0]
        long = len(word) > (_LONG_NUMBER if word[0].isdigit() else _LONG_WORD)
        if long and _loses(library, word, voice):
            return match.span()
    return None


def _loses(library: ctypes.CDLL, word: str, voice: str) -> bool:
    middle = best_cut(word, 0, len(word))
    whole = _count(library, word, voice)
    halves = _count(library, word[:middle], voice) + _count(library, word[middle:], voice)
    if whole >= 0.95 * halves:
        return False
    # Halves may be spelled, or read as other numbers; what has no room for more has lost some for certain.
    return whole < 0.75 * halves or _count(library, word + word[-1], voice) <= whole


def _is_full(library: ctypes.CDLL, chain: str, voice: str) -> bool:
    """Tell whether one more dotted letter would not be spoken; halves may be read as abbreviations."""
    more = f"{chain.rstrip('.')}.{chain.rstrip('.')[-1]}"
    return _count(library, more, voice) <= _count(library, chain, voice)


def _count(library: ctypes.CDLL, text: str, voice: str) -> int:
    return phoneme_count(clauses(library, text, voice))


def _lossy_clause(library: ctypes.CDLL, text: str, voice: str) -> tuple[int, int] | None:
    for clause in clauses(library, text, voice):
        if _is_near(text, clause) and (span := _lossy_end(library, text, clause, voice)):
            return span
    return None


def _is_near(text: str, clause: Clause) -> bool:
    stretch = text[clause.start : clause.end]
    if phoneme_count([clause]) > _NEAR_PHONEMES or len(stretch) * 9 < _NEAR_BYTES:
        return phoneme_count([clause]) > _NEAR_PHONEMES
    listed = units(stretch, ideographs=True)
    return sum(unit.words for unit in listed) > _NEAR_WORDS or sum(unit.size + 1 for unit in listed) > _NEAR_BYTES


def _lossy_end(library: ctypes.CDLL, text: str, clause: Clause, voice: str) -> tuple[int, int] | None:
    """Return the clause if it is the same without its last word."""
    stretch = text[clause.start : clause.end].rstrip()
    if clause.end < len(text) and not text[clause.end - 1].isspace():
        stretch = stretch[:-1]  # the first character of what follows
    words = [match for match in _WORD.finditer(stretch) if match[0].isalnum()]
    if len(words) < 2:
        last = safe_cut(stretch, 0, len(stretch) - 1)
    elif words[-1].end() - words[-1].start() > _LONG_WORD:
        last = safe_cut(stretch, words[-1].start(), words[-1].end() - 1)
    else:
        last = words[-1].start()
    if last <= 0 or _names(clauses(library, stretch[:last], voice)) != _names(clauses(library, stretch, voice)):
        return None
    return clause.start, clause.start + len(stretch)


def _names(translated: list[Clause]) -> str:
    return " ".join(clause.phonemes for clause in translated)
