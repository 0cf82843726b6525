"""A text as phrases: sentences of phonemes that the graph takes at once, with the place of each word."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.types import Unread
from realtts.kit.english import SOUNDS, read_asset
from realtts.kit.marks import bare_span
from realtts.text import paragraphs, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from realtts.kit.english import Pronunciation

__all__ = ["Phrase", "Phrases", "Word"]

_MOST_PHONEMES = 400
"""What the graph was trained on; longer sentences are cut."""

_CLAUSE_END = frozenset(",;:—…")
_PAD, _SPACE = 0, " "


@dataclass(frozen=True)
class Word:
    """A word and its phonemes.

    Attributes:
        span: Where it stands in the text that was read, without the punctuation around it.
        first: Its first symbol in the phrase.
        last: One past its last one; punctuation counts neither before nor behind it.
    """

    span: tuple[int, int]
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Phrase:
    """What the graph speaks at once.

    Attributes:
        symbols: Numbers of phonemes, int64 of shape (1, n), with a pause at both ends.
        words: In order; none where it has no sound.
        unread: Words that no phoneme was found for.
        paragraph_end: The last one of its paragraph.
    """

    symbols: NDArray[np.int64]
    words: tuple[Word, ...]
    unread: tuple[Unread, ...] = ()
    paragraph_end: bool = False


@dataclass(frozen=True)
class _Said:
    """A word with what is to be spoken of it; phonemes are of the graph's alphabet."""

    span: tuple[int, int]
    phonemes: str


class Phrases:
    """Makes phrases of texts.

    Args:
        pronunciation: Of words.
    """

    def __init__(self, pronunciation: Pronunciation) -> None:
        self._pronunciation = pronunciation
        self._numbers: dict[str, int] = json.loads(read_asset("vocab.json", "hibari"))

    def of(self, text: str) -> Iterator[Phrase]:
        """Yield the phrases of a text, sentence by sentence.

        Args:
            text: As `realtts_hibari.reading` returns it.
        """
        for top, bottom in paragraphs(text):
            spans = [(top + left, top + right) for left, right in sentences(text[top:bottom], "en")]
            for number, (start, end) in enumerate(spans, start=1):
                yield from self._sentence(text, start, end, paragraph_end=number == len(spans))

    def _sentence(self, text: str, start: int, end: int, *, paragraph_end: bool) -> Iterator[Phrase]:
        places = [(start + word.start(), start + word.end()) for word in re.finditer(r"\S+", text[start:end])]
        words = [text[left:right] for left, right in places]
        said: list[_Said] = []
        unread: list[Unread] = []
        for place, word, phonemes in zip(places, words, self._pronunciation(words), strict=True):
            kept = "".join(char for char in phonemes if char in self._numbers)
            if kept:
                said.append(_Said(bare_span(text, place), kept))
            if any(map(str.isalpha, word)) and not any(char in SOUNDS for char in kept):
                unread.append(Unread(place))
        parts = list(_cut(said)) or [[]]
        for number, part in enumerate(parts, start=1):
            lost = tuple(unread) if number == len(parts) else ()
            yield self._phrase(part, lost, paragraph_end=paragraph_end and number == len(parts))

    def _phrase(self, said: Sequence[_Said], unread: tuple[Unread, ...], *, paragraph_end: bool) -> Phrase:
        symbols, words = [_PAD], []
        for index, each in enumerate(said):
            if index:
                symbols.append(self._numbers[_SPACE])
            heard = [at for at, char in enumerate(each.phonemes, start=len(symbols)) if char in SOUNDS]
            symbols += [self._numbers[char] for char in each.phonemes]
            if heard:
                words.append(Word(each.span, heard[0], heard[-1] + 1))
        return Phrase(np.asarray([[*symbols, _PAD]], np.int64), tuple(words), unread, paragraph_end)


def _cut(said: Sequence[_Said]) -> Iterator[list[_Said]]:
    """Yield the words of a sentence in parts that the graph can take, cut behind a clause where there is one."""
    part: list[_Said] = []
    size = clause_end = 0
    for each in (piece for whole in said for piece in _pieces(whole)):
        if part and size + len(each.phonemes) + 1 > _MOST_PHONEMES:
            at = clause_end or len(part)
            yield part[:at]
            part, clause_end = part[at:], 0
            size = sum(len(rest.phonemes) + 1 for rest in part)
        part.append(each)
        size += len(each.phonemes) + 1
        if each.phonemes[-1] in _CLAUSE_END:
            clause_end = len(part)
    if part:
        yield part


def _pieces(word: _Said) -> Iterator[_Said]:
    """Yield a word, in pieces if it alone is too much."""
    for at in range(0, len(word.phonemes), _MOST_PHONEMES - 1):
        yield _Said(word.span, word.phonemes[at : at + _MOST_PHONEMES - 1])
