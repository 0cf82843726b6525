"""When words are heard, for plugins whose graph tells how long each symbol lasts.

Lengths alone are late. A graph that has learnt them from the attention of a recognizer begins a symbol's sound before
its length begins, and the symbol of the space between two words has a length but no sound. At pauses the sound itself
tells more than lengths do, since the silence behind a word is part of its last symbol's length.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from realtts.kit.phrases import Word

__all__ = ["WordTimes", "joined_words", "word_spans"]

_WINDOW_S = 0.005
_QUIET = 10 ** (-48 / 20)
"""Root mean square of a window that counts as silence."""

_LEAST_PAUSE = 4
"""Windows of silence that are a pause; shorter ones are inside of sounds."""

_LATEST_S = 0.06
"""How far behind the beginning by lengths a pause may end: a later silence is inside of the word, as in "apple"."""


def joined_words(words: Iterable[Word]) -> list[Word]:
    """Return words in order, several that stand for one stretch of the text, such as a number, as one."""
    joined: list[Word] = []
    for word in words:
        if joined and word.span[0] < joined[-1].span[1]:
            before = joined.pop()
            span = (before.span[0], max(before.span[1], word.span[1]))
            joined.append(replace(before, span=span, last=word.last))
        else:
            joined.append(word)
    return joined


def word_spans(words: Sequence[Word], starts: Sequence[int], *, lag: int = 0) -> list[tuple[int, int]]:
    """Return when each word begins and ends by the lengths of symbols, in the units of ``starts``.

    Args:
        words: Of a phrase.
        starts: When each symbol of the phrase begins, and when the last one ends.
        lag: How much later a symbol's length begins than its sound.
    """
    spans, before = [], 0
    for word in words:
        begin = starts[before if word.follows else word.first]
        spans.append((max(0, begin - lag), max(0, starts[word.last] - lag)))
        before = word.last
    return spans


class WordTimes:
    """The words of a phrase, one after the other as their sound comes.

    Args:
        words: Of the phrase.
        starts: Sample at which each symbol of the phrase begins by its length, and at which the last one ends.
        rate: Of the samples, in Hz.
        lag: How many samples later a symbol's length begins than its sound.
    """

    def __init__(self, words: Sequence[Word], starts: Sequence[int], *, rate: int, lag: int) -> None:
        self._words = words
        self._spans = word_spans(words, starts, lag=lag)
        self._window, self._latest = round(_WINDOW_S * rate), round(_LATEST_S * rate)
        self._next = 0
        self._ended = 0  # sample at which the word before has ended

    def due(self, sound: NDArray[np.float32], *, final: bool) -> list[tuple[Word, int, int]]:
        """Return the words that have ended in the sound so far, each once, with the samples of beginning and end.

        Args:
            sound: Of the phrase, from its beginning.
            final: No more of it comes.
        """
        loud = self._loud(sound)
        words = []
        while self._next < len(self._words) and (final or self._spans[self._next][1] <= len(sound)):
            words.append((self._words[self._next], *self._on_sound(loud, len(sound))))
            self._next += 1
        return words

    def _on_sound(self, loud: NDArray[np.bool_], length: int) -> tuple[int, int]:
        """Return beginning and end of the next word, moved to the sound where there is a pause."""
        word, (begin, end) = self._words[self._next], self._spans[self._next]
        end = min(end, length)
        if not word.follows:
            begin = self._after_pause(loud, begin)
        begin = min(max(begin, self._ended), length)
        following = self._words[self._next + 1] if self._next + 1 < len(self._words) else None
        if following is None or not following.follows:
            end = self._before_pause(loud, begin, end)
        self._ended = end = max(begin, end)
        return begin, end

    def _after_pause(self, loud: NDArray[np.bool_], begin: int) -> int:
        """Return where the sound begins behind the longest silence since the word before."""
        first = self._ended // self._window
        edges = np.flatnonzero(np.diff(loud[first : (begin + self._latest) // self._window + 1], prepend=True))
        pauses = list(zip(edges[::2], edges[1::2], strict=False))  # falls quiet, becomes loud
        if not pauses:
            return begin
        quiet, sounds = max(pauses, key=lambda pause: pause[1] - pause[0])
        long_enough = sounds - quiet >= _LEAST_PAUSE or not self._ended
        return int(first + sounds) * self._window if long_enough else begin

    def _before_pause(self, loud: NDArray[np.bool_], begin: int, end: int) -> int:
        """Return where the word's sound ends, not later than by its length."""
        first = begin // self._window
        heard = np.flatnonzero(loud[first : end // self._window])
        return min(end, int(first + heard[-1] + 1) * self._window) if heard.size else end

    def _loud(self, sound: NDArray[np.float32]) -> NDArray[np.bool_]:
        windows = sound[: len(sound) // self._window * self._window].reshape(-1, self._window)
        loud: NDArray[np.bool_] = np.sqrt(np.mean(np.square(windows), axis=1)) > _QUIET
        return loud
