"""From text to sentences, and from sentences to phonemes, as upstream's package does it with sea-g2p.

Sentences are found in the text as it was written, because the normaliser drops quotes and brackets, by which a question
that ends a sentence differs from one that is quoted. They are normalised one by one (numbers, dates, units and
abbreviations become words) and then put together up to a number of characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from realtts import text as texts
from realtts.errors import UnspeakableText
from realtts_vieneu.losses import left_out_of, unread, unread_in
from realtts_vieneu.sea import LONGEST_WORD, cut_words, ended, normalised, phonemes_of, prepared

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

__all__ = [
    "LONGEST_WORD",
    "Sentence",
    "cut_words",
    "finished",
    "is_spoken",
    "left_out_of",
    "normalised",
    "phonemes_of",
    "prepared",
    "reading_sentences",
    "sentences_of",
    "spoken_length",
    "unread",
    "unread_in",
    "words_of",
]

_T = TypeVar("_T")

_SHORT = 20
"""Characters of a sentence that goes with the one before it, though both are a little too long then: alone, a word or
two are too little for the model to know where to end."""

_LANGUAGE = "vi"
"""Language of the rules by which sentences are found; sea-g2p recognises English words by itself."""

_LEADING = " .,;:!?-"
"""Nothing is said with these before the first word, and the model, which has read no text that begins so, would try."""

_LINES = re.compile(r"[\r\n]+")
_TAGGED = re.compile(r"<en>.*?</en>", re.DOTALL)
_TAG = re.compile(r"</?en>")
_JOINER = "\u2060"
"""Stands for the spaces between ``<en>`` and ``</en>``, so that nothing is cut between them."""


@dataclass(frozen=True)
class Sentence:
    """A stretch of text that is spoken in one go: a sentence, or several short ones, or part of a long one.

    Attributes:
        text: Normalised, punctuation at its end.
        phonemes: Of it.
    """

    text: str
    phonemes: str


def sentences_of(text: str, max_chars: int) -> list[Sentence]:
    """Return a text's sentences, normalised, put together where they are short and cut where they are long.

    Args:
        text: Checked by the facade.
        max_chars: Most characters of a stretch, short words at its end not counted.

    Raises:
        UnspeakableText: Nothing of it has a sound in Vietnamese or English.
    """
    return finished(reading_sentences(text, max_chars))


def reading_sentences(text: str, max_chars: int) -> Generator[None, None, list[Sentence]]:
    """Return what `sentences_of` does; yields after each sentence, since a book takes seconds and others may wait."""
    stretches: list[str] = []
    for line in _LINES.split(prepared(text)):  # as upstream: lines, such as those of a list, are spoken apart
        sentences: list[str] = []
        for sentence in _normalised(line):
            sentences.append(sentence)
            yield
        stretches += _packed(sentences, max_chars)
    spoken: list[Sentence] = []
    for stretch in stretches:
        closed = ended(stretch)
        if is_spoken(phonemes := phonemes_of(closed)):
            spoken.append(Sentence(closed, phonemes))
        yield
    if not spoken:
        raise UnspeakableText(
            "there is nothing in it that is said in Vietnamese or English", who="vieneu",
            fix="write it in Latin letters or digits",
        )  # fmt: skip
    return spoken


def finished(steps: Generator[None, None, _T]) -> _T:
    """Return what work in steps returns, done at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: _T = end.value
            return value


def words_of(text: str) -> str:
    """Return the phonemes of the words of a recording, as one sentence."""
    return phonemes_of(ended(normalised(prepared(text))))


def is_spoken(phonemes: str) -> bool:
    """Return whether there is any sound among phonemes."""
    return any(char.isalpha() for char in _TAG.sub("", phonemes))


def spoken_length(phonemes: str) -> int:
    """Return the number of characters of phonemes, without markup."""
    return len(_TAG.sub("", phonemes))


def _normalised(paragraph: str) -> Iterator[str]:
    for start, end in texts.sentences(paragraph, _LANGUAGE):
        sentence = normalised(" ".join(paragraph[start:end].split())).lstrip(_LEADING)
        if any(char.isalnum() for char in sentence):
            yield sentence


def _packed(sentences: Sequence[str], max_chars: int) -> list[str]:
    """Join as many sentences as fit."""
    packed: list[str] = []
    for sentence in sentences:
        for part in [sentence] if len(sentence) <= max_chars else _cut(sentence, max_chars):
            together = len(packed[-1]) + 1 + len(part) if packed else 0
            if packed and (together <= max_chars or (len(part) <= _SHORT and together <= max_chars + _SHORT)):
                packed[-1] = f"{packed[-1]} {part}"
            else:
                packed.append(part)
    return packed


def _cut(sentence: str, max_chars: int) -> list[str]:
    """Cut a sentence that is too long between clauses, else between words; tagged text stays together if it fits."""
    joined = _TAGGED.sub(lambda match: match[0].replace(" ", _JOINER), sentence)
    parts = [joined[piece.start : piece.end] for piece in texts.pieces(joined, max_chars, _LANGUAGE)]
    return [part.replace(_JOINER, " ") for part in parts]
