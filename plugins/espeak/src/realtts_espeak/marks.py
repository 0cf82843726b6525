"""From espeak's word events to marks: which word of the text is meant, and when its sound ends.

espeak counts code points, but an event is no word: "1,234.5" or an emoji brings several, with positions one
too far, "don't" brings one of length 3, and pairs such as "of the" bring one for both. So the words are found
in the text, and the events only say when they begin.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.types import Mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["Onset", "unheard", "word_marks"]

_RUN = re.compile(r"[^\s—…]+")
# Scripts that put no space between words: only espeak's events show where one begins.
_UNSPACED = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
_SPOKEN_PUNCTUATION = frozenset("%&@#*§¶‰")
_SILENCE = 1 / 500
"""Sound below this part of the loudest sample (-54 dB) belongs to no word."""


@dataclass(frozen=True)
class Onset:
    """The onset of an event: the character it points at, and the sample at which it sounds."""

    index: int
    sample: int


@dataclass(frozen=True)
class _Word:
    start: int
    end: int
    sample: int


def word_marks(text: str, onsets: Sequence[Onset], samples: NDArray[np.float32], rate: int) -> list[Mark]:
    """Time the words of a text.

    Args:
        text: What was spoken; what is not to be marked replaced by spaces.
        onsets: espeak's word events, in the order of their sound.
        samples: The sound of the whole text, shape (n,).
        rate: Hz.

    Returns:
        Marks in order, spans into ``text``, seconds from the first of ``samples``.
    """
    runs = _runs(text, onsets)
    if not runs:
        return []
    heard = {run: min(sample, len(samples)) for run, sample in _heard(runs, onsets).items()}
    before = next((run for run, span in enumerate(runs) if run not in heard and _is_word(text, *span)), len(runs))
    if before < min(heard, default=len(runs)) and samples.any():
        # espeak dates no word that begins with some letters (of Korean), but speaks it.
        heard = {before: int(np.flatnonzero(samples)[0]), **heard}
    if not heard:
        return []
    words = _timed(text, runs, heard, samples)
    return [
        Mark(word.sample / rate, end / rate, (word.start, word.end))
        for word, end in zip(words, _ends(words, samples), strict=True)
    ]


def unheard(text: str, onsets: Sequence[Onset]) -> list[tuple[int, int]]:
    """Return the words and symbols for which espeak has no event: spoken with a neighbour, or not at all."""
    runs = _runs(text, onsets)
    heard = _heard(runs, onsets)
    return [
        span for run, span in enumerate(runs) if run not in heard and any(_is_said(char) for char in text[slice(*span)])
    ]


def _heard(runs: list[tuple[int, int]], onsets: Iterable[Onset]) -> dict[int, int]:
    """Return the samples at which runs begin to sound, in their order."""
    starts = [start for start, _ in runs]
    heard: dict[int, int] = {}
    latest = -1
    for onset in onsets:
        # Positions that are one too far, and those on white space, belong to the word before them.
        run = max(0, bisect_right(starts, onset.index) - 1)
        if run > latest and runs:
            heard[run] = onset.sample
            latest = run
    return heard


def _is_said(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char) in {"So", "Sc", "Sm"}


def _runs(text: str, onsets: Iterable[Onset]) -> list[tuple[int, int]]:
    """Return stretches without white space, cut before events where the script puts none between words."""
    cuts = sorted({onset.index for onset in onsets if _divides(text, onset.index)})
    runs: list[tuple[int, int]] = []
    for match in _RUN.finditer(text):
        inside = cuts[bisect_right(cuts, match.start()) : bisect_left(cuts, match.end())]
        runs.extend(pairwise([match.start(), *inside, match.end()]))
    return runs


def _divides(text: str, index: int) -> bool:
    if not 0 < index < len(text) or unicodedata.category(text[index]).startswith("M"):
        return False
    return bool(_UNSPACED.match(text, index) or _UNSPACED.match(text, index - 1))


def _timed(text: str, runs: list[tuple[int, int]], heard: dict[int, int], samples: NDArray[np.float32]) -> list[_Word]:
    """Return the words with their onsets; words that espeak spoke as one share its time by their length."""
    words: list[_Word] = []
    for run, following in pairwise([*heard, len(runs)]):
        spans = [_stripped(text, *runs[run])]
        spans += [_stripped(text, *runs[other]) for other in range(run + 1, following) if _is_word(text, *runs[other])]
        start = heard[run]
        until = _last_sound(samples, start, heard.get(following, len(samples)))
        total = sum(right - left for left, right in spans)
        before = 0
        for left, right in spans:
            words.append(_Word(left, right, start + (until - start) * before // total))
            before += right - left
    return words


def _ends(words: list[_Word], samples: NDArray[np.float32]) -> list[int]:
    following = [*(word.sample for word in words[1:]), len(samples)]
    return [_last_sound(samples, word.sample, end) for word, end in zip(words, following, strict=True)]


def _last_sound(samples: NDArray[np.float32], start: int, end: int) -> int:
    """Return one past the last audible sample, or ``end`` if there is none."""
    if end <= start:
        return start
    loud = np.abs(samples[start:end])
    audible = np.flatnonzero(loud > _SILENCE * float(loud.max()))
    return start + int(audible[-1]) + 1 if audible.size else end


def _is_word(text: str, start: int, end: int) -> bool:
    return any(char.isalnum() for char in text[start:end])


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the stretch without the punctuation around it, unless it is nothing else."""
    left, right = start, end
    while left < right and _is_silent(text[left]):
        left += 1
    while right > left and _is_silent(text[right - 1]):
        right -= 1
    return (left, right) if left < right else (start, end)


def _is_silent(char: str) -> bool:
    return unicodedata.category(char).startswith("P") and char not in _SPOKEN_PUNCTUATION
