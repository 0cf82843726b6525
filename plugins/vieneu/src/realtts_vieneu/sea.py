"""sea-g2p: the package that normalises Vietnamese and finds its phonemes."""

from __future__ import annotations

import functools
import re
import threading
from typing import Any

from realtts_vieneu.written import rewritten

__all__ = ["LONGEST_WORD", "cut_words", "ended", "normalised", "phonemes_of", "prepared"]

LONGEST_WORD = 100
"""Characters. The phonemizer's time grows faster than the square of a word's length (0.1 s for 400 characters, 16 s for
2,000), so that longer ones, which nobody says, are cut into pieces."""

_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD}}}(?=\S)")

_lock = threading.Lock()


@functools.lru_cache(4)  # sentences and warnings are found in the same text
def prepared(text: str) -> str:
    """Return the text as it is given to the normaliser: spelled so that it reads everything, no word too long."""
    return rewritten(cut_words(text))


def cut_words(text: str) -> str:
    """Return the text with spaces in words that are longer than `LONGEST_WORD`."""
    return _LONG_WORD.sub(lambda match: f"{match[0]} ", text)


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


def ended(sentence: str) -> str:
    """Return a normalised sentence with punctuation at its end."""
    with_end: str = _sea().punc_norm(sentence)
    return with_end


@functools.cache
def _parts() -> tuple[Any, Any]:
    """Make normaliser and phonemizer, which map their dictionary into memory."""
    return _sea().Normalizer(lang="vi"), _sea().G2P(lang="vi")


def _sea() -> Any:
    import sea_g2p

    return sea_g2p
