"""From text to sentences, and from sentences to phonemes, as upstream's package does it with sea-g2p.

Sentences are found in the text as it was written, because the normaliser drops quotes and brackets, by which one tells
a question that ends a sentence from one that is quoted. They are normalised one by one (numbers, dates, units and
abbreviations become words) and put together up to a number of characters as they are then.
"""

from __future__ import annotations

import functools
import re
import threading
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts import text as texts
from realtts.errors import UnspeakableText

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "LONGEST_WORD",
    "Sentence",
    "cut_words",
    "is_spoken",
    "left_out_of",
    "normalised",
    "phonemes_of",
    "sentences_of",
    "spoken_length",
    "unread",
    "words_of",
]

LONGEST_WORD = 100
"""Characters. The phonemizer's time grows faster than the square of a word's length (0.1 s for 400 characters, 16 s for
2,000), so that longer ones, which nobody says, are cut into pieces."""

_SHORT = 20
"""Characters of a sentence that goes with the one before it, though both are a little too long then: alone, a word or
two are too little for the model to know where to end."""

_LANGUAGE = "vi"
"""Of the rules by which sentences are found; sea-g2p finds out by itself which words are English."""

_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD}}}(?=\S)")
_LINES = re.compile(r"[\r\n]+")
_TAGGED = re.compile(r"<en>.*?</en>", re.DOTALL)
_TAG = re.compile(r"</?en>")
_JOINER = "\u2060"
"""Stands for the spaces between ``<en>`` and ``</en>``, so that nothing is cut between them."""

_lock = threading.Lock()


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
    """A text's sentences, normalised, put together where they are short and cut where they are long.

    Args:
        text: Checked by the facade.
        max_chars: Most characters of a stretch, short words at its end not counted.

    Raises:
        UnspeakableText: Nothing of it has a sound in Vietnamese or English.
    """
    found: list[str] = []
    text = cut_words(text)
    for line in _LINES.split(text):  # as upstream: what stands on lines of its own, such as a list, is said apart
        found += _packed(list(_normalised(line)), max_chars)
    ended = [_sea().punc_norm(sentence) for sentence in found]
    spoken = [Sentence(sentence, phonemes) for sentence in ended if is_spoken(phonemes := phonemes_of(sentence))]
    if not spoken:
        raise UnspeakableText(
            "there is nothing in it that is said in Vietnamese or English", who="vieneu",
            fix="write it in Latin letters or digits",
        )  # fmt: skip
    return spoken


def phonemes_of(sentence: str) -> str:
    """The phonemes of what is normalised already, with its punctuation."""
    with _lock:
        found: str = _parts()[1].convert(sentence, punc_norm=True)
    return found


def normalised(text: str) -> str:
    """A text as it is said, in small letters, without a full stop of its own at the end."""
    with _lock:
        found: str = _parts()[0].normalize(text, punc_norm=False)
    return found.strip()


def words_of(text: str) -> str:
    """The phonemes of the words of a recording, all in one."""
    return phonemes_of(_sea().punc_norm(normalised(cut_words(text))))


def cut_words(text: str) -> str:
    """The text with spaces in words that are longer than `LONGEST_WORD`."""
    return _LONG_WORD.sub(lambda match: f"{match[0]} ", text)


def is_spoken(phonemes: str) -> bool:
    """Whether there is any sound among phonemes."""
    return any(char.isalpha() for char in _TAG.sub("", phonemes))


def spoken_length(phonemes: str) -> int:
    """How many characters of phonemes there are to speak."""
    return len(_TAG.sub("", phonemes))


def unread(text: str) -> tuple[str, ...]:
    """Letters, digits and pictures of a text that the normaliser leaves out without a word, each once."""
    letters = [char for char in dict.fromkeys(text) if char.isalnum() or unicodedata.category(char) == "So"]
    return tuple(char for char in letters if not normalised(char))


def left_out_of(text: str) -> str:
    """What to tell a user whose text has signs without a sound; empty if it has none."""
    found = unread(text)
    return f"Not read, for sea-g2p has no sound for it: {' '.join(found[:20])}" if found else ""


def _normalised(paragraph: str) -> Iterator[str]:
    for start, end in texts.sentences(paragraph, _LANGUAGE):
        sentence = normalised(" ".join(paragraph[start:end].split()))
        if any(char.isalnum() for char in sentence):
            yield sentence


def _packed(sentences: Sequence[str], max_chars: int) -> list[str]:
    """As many sentences together as fit."""
    found: list[str] = []
    for sentence in sentences:
        for part in [sentence] if len(sentence) <= max_chars else _cut(sentence, max_chars):
            together = len(found[-1]) + 1 + len(part) if found else 0
            if found and (together <= max_chars or (len(part) <= _SHORT and together <= max_chars + _SHORT)):
                found[-1] = f"{found[-1]} {part}"
            else:
                found.append(part)
    return found


def _cut(sentence: str, max_chars: int) -> list[str]:
    """A sentence that is too long, in clauses, else in words; what is between tags stays together where it fits."""
    held = _TAGGED.sub(lambda match: match[0].replace(" ", _JOINER), sentence)
    parts = [held[piece.start : piece.end] for piece in texts.pieces(held, max_chars, _LANGUAGE)]
    return [part.replace(_JOINER, " ") for part in parts]


@functools.cache
def _parts() -> tuple[Any, Any]:
    """Normaliser and phonemizer, which map their dictionary when they are made."""
    return _sea().Normalizer(lang="vi"), _sea().G2P(lang="vi")


def _sea() -> Any:
    import sea_g2p

    return sea_g2p
