"""A text as phrases: sentences of phonemes that the graph takes at once, with the place of each word."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.types import Unread
from realtts.kit.english import MARKS, SOUNDS, read_asset
from realtts.kit.marks import bare_span
from realtts.kit.phrases import SaidWord, cut_phrases, lay_out
from realtts.text import paragraphs, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from realtts.kit.english import Pronunciation
    from realtts.kit.phrases import Word

__all__ = ["Phrase", "Phrases"]

_MOST_PHONEMES = 400
"""What the graph was trained on; longer sentences are cut."""

_CLAUSE_END = frozenset(",;:—…")
_PAD = 0


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
        said: list[SaidWord] = []
        unread: list[Unread] = []
        for place, word, phonemes in zip(places, words, self._pronunciation(words), strict=True):
            kept = "".join(char for char in phonemes if char in self._numbers)
            if kept:
                said.append(SaidWord(bare_span(text, place), kept))
            if any(map(str.isalpha, word)) and not any(char in SOUNDS for char in kept):
                unread.append(Unread(place))
        parts = list(cut_phrases(said, most=_MOST_PHONEMES, ends=_CLAUSE_END)) or [[]]
        for number, part in enumerate(parts, start=1):
            lost = tuple(unread) if number == len(parts) else ()
            yield self._phrase(part, lost, paragraph_end=paragraph_end and number == len(parts))

    def _phrase(self, said: Sequence[SaidWord], unread: tuple[Unread, ...], *, paragraph_end: bool) -> Phrase:
        symbols, words = lay_out(said, SOUNDS.__contains__, MARKS, first=1)
        numbers = [_PAD, *(self._numbers[symbol] for symbol in symbols), _PAD]
        return Phrase(np.asarray([numbers], np.int64), words, unread, paragraph_end)
