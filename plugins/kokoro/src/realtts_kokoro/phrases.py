"""A text as phrases: what the graph speaks at once, with the place of each word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.types import Unread
from realtts.kit.marks import bare_span
from realtts.kit.phrases import SaidWord, cut_phrases, is_said, lay_out
from realtts.text import paragraphs, sentences
from realtts_kokoro.network import MOST_SYMBOLS
from realtts_kokoro.reading import read
from realtts_kokoro.vocabulary import CLAUSE_END, MARKS, NUMBERS, is_sound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.kit.phrases import Word
    from realtts_kokoro.catalogue import Language
    from realtts_kokoro.phonemizers import Phonemizer

__all__ = ["Phrase", "phrases_of", "raw_phrase"]

_WORD = re.compile(r"\S+")
_CLOSING = r"、。，．！？：；…!?,;:.」』》）)”"
_CLAUSE = re.compile(rf"[^\s{_CLOSING}]+[{_CLOSING}]*|[{_CLOSING}]+")
"""Of a script without spaces."""

_WITHOUT_SPACES = frozenset("jz")
_LEAST_CLAUSE = 20
"""Symbols of a clause that is spoken alone: shorter ones sound odd."""

_RAW = re.compile(r"[\s/\[\]|]+")


@dataclass(frozen=True)
class Phrase:
    """What the graph speaks at once.

    Attributes:
        numbers: Of its symbols, without the pads.
        words: In order; none where nothing is heard.
        unread: What of the text has no sound, up to here.
        missing: Phonemes that the model does not have.
        goes_on: The next phrase is of the same sentence.
    """

    numbers: tuple[int, ...]
    words: tuple[Word, ...]
    unread: tuple[Unread, ...] = ()
    missing: frozenset[str] = frozenset()
    goes_on: bool = False


def phrases_of(text: str, language: Language, phonemizer: Phonemizer, *, clauses: bool) -> Iterator[Phrase]:
    """Yield the phrases of a text; one may have no words, only what is not read.

    Args:
        text: As the core prepares it.
        language: In which it is read.
        phonemizer: Of that language.
        clauses: Whether the clauses of a sentence are phrases of their own.

    Raises:
        UnspeakableText: Nothing of it can be said.
    """
    reading = read(text, language, lambda sign: any(map(is_sound, phonemizer([sign])[0])))
    unread = reading.unread
    least = _LEAST_CLAUSE if clauses else None
    pattern = _CLAUSE if language.letter in _WITHOUT_SPACES else _WORD
    for top, bottom in paragraphs(reading.text):
        for left, right in sentences(reading.text[top:bottom], language.tag):
            places = [match.span() for match in pattern.finditer(reading.text, top + left, top + right)]
            spoken = phonemizer([reading.text[slice(*place)] for place in places])
            said, lost, missing = [], [], set[str]()
            for place, phonemes in zip(places, spoken, strict=True):
                span = reading.to_original(bare_span(reading.text, place))
                kept = "".join(char for char in phonemes if char in NUMBERS)
                missing.update(char for char in phonemes if char not in NUMBERS and not char.isspace())
                if kept:
                    said.append(SaidWord(span, kept))
                if is_said(reading.text[slice(*place)]) and not any(map(is_sound, kept)):
                    lost.append(Unread(span))
            parts = list(cut_phrases(said, most=MOST_SYMBOLS, ends=CLAUSE_END, least_clause=least)) or [[]]
            for number, part in enumerate(parts, start=1):
                last = number == len(parts)
                yield _phrase(part, unread + (tuple(lost) if last else ()), frozenset(missing), goes_on=not last)
                unread = ()


def raw_phrase(phonemes: str, span: tuple[int, int]) -> Phrase | None:
    """Return a phrase of phonemes that are given in the model's alphabet; None: it has none of them, or too many.

    Args:
        phonemes: In IPA, with misaki's letters for some diphthongs.
        span: What they are spoken for.
    """
    given = _RAW.sub(" ", phonemes).strip()
    kept = "".join(char for char in given if char in NUMBERS)
    if not any(map(is_sound, kept)) or len(kept) > MOST_SYMBOLS:
        return None
    return _phrase([SaidWord(span, kept)], (), frozenset(char for char in given if char not in NUMBERS), goes_on=False)


def _phrase(said: Sequence[SaidWord], unread: tuple[Unread, ...], missing: frozenset[str], *, goes_on: bool) -> Phrase:
    symbols, words = lay_out(said, is_sound, MARKS)
    return Phrase(tuple(NUMBERS[symbol] for symbol in symbols), words, unread, missing, goes_on)
