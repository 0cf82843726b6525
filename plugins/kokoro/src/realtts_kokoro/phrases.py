"""A text as phrases: what the graph speaks at once, with the place of each word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.types import Unread
from realtts.kit.marks import bare_span
from realtts.text import paragraphs, sentences
from realtts_kokoro.network import MOST_SYMBOLS
from realtts_kokoro.reading import read
from realtts_kokoro.vocabulary import CLAUSE_END, NUMBERS, is_sound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts_kokoro.catalogue import Language
    from realtts_kokoro.phonemizers import Phonemizer

__all__ = ["Phrase", "Word", "phrases_of", "raw_phrase"]

_WORD = re.compile(r"\S+")
_CLOSING = r"、。，．！？：；…!?,;:.」』》）)”"
_CLAUSE = re.compile(rf"[^\s{_CLOSING}]+[{_CLOSING}]*|[{_CLOSING}]+")
"""Of a script without spaces."""

_WITHOUT_SPACES = frozenset("jz")
_LEAST_CLAUSE = 20
"""Symbols of a clause that is spoken alone: shorter ones sound odd."""

_RAW = re.compile(r"[\s/\[\]|]+")


@dataclass(frozen=True)
class Word:
    """A word and its phonemes.

    Attributes:
        span: Where it stands in the request's text, without the punctuation around it.
        first: Its first symbol in the phrase that is heard.
        last: One past its last one.
    """

    span: tuple[int, int]
    first: int
    last: int


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


@dataclass(frozen=True)
class _Said:
    """A word with its phonemes, of the model's symbols."""

    span: tuple[int, int]
    phonemes: str


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
                    said.append(_Said(span, kept))
                if _is_said(reading.text[slice(*place)]) and not any(map(is_sound, kept)):
                    lost.append(Unread(span))
            parts = list(_cut(said, clauses=clauses)) or [[]]
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
    return _phrase([_Said(span, kept)], (), frozenset(char for char in given if char not in NUMBERS), goes_on=False)


def _phrase(said: Sequence[_Said], unread: tuple[Unread, ...], missing: frozenset[str], *, goes_on: bool) -> Phrase:
    symbols, words = "", []
    for each in said:
        symbols += " " if symbols else ""
        heard = [at for at, char in enumerate(each.phonemes, start=len(symbols)) if is_sound(char)]
        symbols += each.phonemes
        if heard:
            words.append(Word(each.span, heard[0], heard[-1] + 1))
    return Phrase(tuple(NUMBERS[char] for char in symbols), tuple(words), unread, missing, goes_on)


def _cut(said: Sequence[_Said], *, clauses: bool) -> Iterator[list[_Said]]:
    """Yield the words of a sentence in parts that the graph can take, cut behind a clause where there is one."""
    part: list[_Said] = []
    size = clause_end = 0
    for each in (piece for whole in said for piece in _pieces(whole)):
        if part and size + len(each.phonemes) + 1 > MOST_SYMBOLS:
            at = clause_end or len(part)
            yield part[:at]
            part, clause_end = part[at:], 0
            size = sum(len(rest.phonemes) + 1 for rest in part)
        part.append(each)
        size += len(each.phonemes) + 1
        if each.phonemes[-1] in CLAUSE_END:
            clause_end = len(part)
            if clauses and size >= _LEAST_CLAUSE:
                yield part
                part, size, clause_end = [], 0, 0
    if part:
        yield part


def _pieces(word: _Said) -> Iterator[_Said]:
    """Yield a word, in pieces if it alone is too much."""
    for at in range(0, len(word.phonemes), MOST_SYMBOLS - 1):
        yield _Said(word.span, word.phonemes[at : at + MOST_SYMBOLS - 1])


def _is_said(word: str) -> bool:
    return any(char.isalnum() for char in word)
