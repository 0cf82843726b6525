"""From text to sentences, and from sentences to phonemes, as upstream's package does it with sea-g2p.

Sentences are found in the text as it was written, because the normaliser drops quotes and brackets, by which a question
that ends a sentence differs from one that is quoted. They are normalised one by one (numbers, dates, units and
abbreviations become words) and then put together up to a number of characters.
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
"""Language of the rules by which sentences are found; sea-g2p recognises English words by itself."""

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
    """Return a text's sentences, normalised, put together where they are short and cut where they are long.

    Args:
        text: Checked by the facade.
        max_chars: Most characters of a stretch, short words at its end not counted.

    Raises:
        UnspeakableText: Nothing of it has a sound in Vietnamese or English.
    """
    stretches: list[str] = []
    text = cut_words(text)
    for line in _LINES.split(text):  # as upstream: lines, such as those of a list, are spoken apart
        stretches += _packed(list(_normalised(line)), max_chars)
    ended = [_sea().punc_norm(sentence) for sentence in stretches]
    spoken = [Sentence(sentence, phonemes) for sentence in ended if is_spoken(phonemes := phonemes_of(sentence))]
    if not spoken:
        raise UnspeakableText(
            "there is nothing in it that is said in Vietnamese or English", who="vieneu",
            fix="write it in Latin letters or digits",
        )  # fmt: skip
    return spoken


def phonemes_of(sentence: str) -> str:
    """Return the phonemes of a normalised sentence, with its punctuation."""
    with _lock:
        phonemes: str = _parts()[1].convert(sentence, punc_norm=True)
    return phonemes


def normalised(text: str) -> str:
    """Return a text as it is spoken, in small letters; no full stop is added at its end."""
    with _lock:
        spoken: str = _parts()[0].normalize(text, punc_norm=False)
    return spoken.strip()


def words_of(text: str) -> str:
    """Return the phonemes of the words of a recording, as one sentence."""
    return phonemes_of(_sea().punc_norm(normalised(cut_words(text))))


def cut_words(text: str) -> str:
    """Return the text with spaces in words that are longer than `LONGEST_WORD`."""
    return _LONG_WORD.sub(lambda match: f"{match[0]} ", text)


def is_spoken(phonemes: str) -> bool:
    """Return whether there is any sound among phonemes."""
    return any(char.isalpha() for char in _TAG.sub("", phonemes))


def spoken_length(phonemes: str) -> int:
    """Return the number of characters of phonemes, without markup."""
    return len(_TAG.sub("", phonemes))


def unread(text: str) -> tuple[str, ...]:
    """Return letters, digits and pictures of a text that the normaliser silently drops, each once."""
    letters = [char for char in dict.fromkeys(text) if char.isalnum() or unicodedata.category(char) == "So"]
    return tuple(char for char in letters if not normalised(char))


def left_out_of(text: str) -> str:
    """Return the warning for a text with characters that have no sound; empty if it has none."""
    characters = unread(text)
    return f"Not read, for sea-g2p has no sound for it: {' '.join(characters[:20])}" if characters else ""


def _normalised(paragraph: str) -> Iterator[str]:
    for start, end in texts.sentences(paragraph, _LANGUAGE):
        sentence = normalised(" ".join(paragraph[start:end].split()))
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


@functools.cache
def _parts() -> tuple[Any, Any]:
    """Make normaliser and phonemizer, which map their dictionary into memory."""
    return _sea().Normalizer(lang="vi"), _sea().G2P(lang="vi")


def _sea() -> Any:
    import sea_g2p

    return sea_g2p
