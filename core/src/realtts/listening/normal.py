"""Words as recognition is scored: small letters, no punctuation, numbers in digits; each with its place in the text."""

from __future__ import annotations

import functools
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.text.align import align

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["WITHOUT_SPACES", "NormalWord", "normal_words"]

WITHOUT_SPACES = frozenset(("zh", "ja", "th", "lo", "my", "km", "yue"))
"""Languages that are scored letter by letter, as is usual, since they put no spaces between words."""

_MINUS = re.compile(r"(?<![\w.,])[-−–](?=[$€£¥]?\d)")
_BRACKETS = str.maketrans("()[]{}<>", " " * 8)
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class NormalWord:
    """A word to be compared.

    Attributes:
        text: Normalized.
        span: Start and end character of what it stands for in the text.
    """

    text: str
    span: tuple[int, int]


def normal_words(text: str, language: str | None, *, brackets_are_said: bool) -> tuple[NormalWord, ...]:
    """Return the words of a text, normalized.

    Args:
        text: Any.
        language: BCP 47 tag; None counts as English.
        brackets_are_said: What stands in brackets counts; a recognizer puts noises there.
    """
    source = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
    source = source.translate(_BRACKETS) if brackets_are_said else source
    # The normalizer knows "minus twelve" as -12, and drops the sign of "-12".
    primary = (language or "en").partition("-")[0].lower()
    normal = _normalizer(primary)(_MINUS.sub(" minus ", source))
    if primary in WITHOUT_SPACES:
        return tuple(_letters(source, normal.split()))
    origin = align(source, normal)
    return tuple(NormalWord(match[0], origin(match.span())) for match in _WORD.finditer(normal))


def _letters(source: str, letters: Sequence[str]) -> Iterator[NormalWord]:
    """Yield letters with their places, which are in the same order in the text."""
    at = 0
    for letter in letters:
        place = source.find(letter, at)
        start, at = (at, at) if place < 0 else (place, place + len(letter))
        yield NormalWord(letter, (start, at))


@functools.lru_cache(maxsize=8)
def _normalizer(language: str) -> Callable[[str], str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in its sources, when they are compiled for the first time
        from whisper_normalizer.basic import BasicTextNormalizer
        from whisper_normalizer.english import EnglishTextNormalizer

    if language == "en":
        english: Callable[[str], str] = EnglishTextNormalizer()
        return english
    # Marks stay: in many scripts they are the vowels.
    plain: Callable[[str], str] = BasicTextNormalizer(
        remove_diacritics=False, split_letters=language in WITHOUT_SPACES, preserve_marks=True
    )
    return plain
