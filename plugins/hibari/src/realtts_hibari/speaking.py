"""A request as chunks: sentence after sentence, each in blocks, with the marks of its words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.timing import timed
from realtts.contract.types import Chunk, Mark, Unread
from realtts.errors import UnspeakableText
from realtts.kit.marks import mark_within
from realtts.kit.silence import leading_silence, trailing_silence
from realtts.kit.word_times import WordTimes, joined_words
from realtts_hibari.network import FRAMES_PER_UNIT
from realtts_hibari.vocoder import HOP, RATE, samples_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts.text.reading import Reading
    from realtts_hibari.network import Network
    from realtts_hibari.phrases import Phrase, Phrases

__all__ = ["Speaker"]

_LEAD, _TAIL = round(0.05 * RATE), round(0.1 * RATE)
"""Samples of silence that stay before the first sound of each sentence and behind the last one of a request: the graph
makes 0.3 s and 0.5 s of it."""

_PARAGRAPH_PAUSE_S = 0.3
"""Beyond the pause behind each sentence."""

_SLOWEST, _FASTEST = 0.5, 2.0
_UNIT = FRAMES_PER_UNIT * HOP
_LAG = round(0.04 * RATE)
"""How much later the length of a phoneme begins than its sound, as measured (docs/benchmarks/2026-11-30-marks.md)."""


class Speaker:
    """Speaks one request.

    Args:
        context: For the times of its stages.
        request: What is asked for.
        reading: Of its text.
    """

    def __init__(self, context: Context, request: Request, reading: Reading) -> None:
        self._context, self._request, self._reading = context, request, reading
        self._random = np.random.default_rng(request.seed)
        self._spoken = 0  # samples
        self._unread: tuple[Unread, ...] = reading.unread
        self._warnings = _speed_warning(request.speed)

    def chunks(self, phrases: Phrases, network: Network) -> Iterator[Chunk]:
        """Yield the chunks; between two of them, and around the graph, the request may be cancelled.

        Raises:
            UnspeakableText: No word of the text has a sound.
        """
        coming = phrases.of(self._reading.text)
        phrase = self._next(coming)
        while phrase is not None and not self._request.cancelled():
            following = self._next(coming)
            for chunk in self._sentence(phrase, network, last=following is None):
                yield self._told(chunk)
                if self._request.cancelled():
                    return
            phrase = following
        if self._request.cancelled():
            return
        if not self._spoken:
            raise UnspeakableText(
                f"hibari finds nothing to say in {self._request.text[:40]!r}",
                who="provider 'hibari'",
                fix="give it English words",
            )
        if self._unread:
            yield self._told(Chunk(np.zeros(0, np.float32), RATE))

    def _next(self, coming: Iterator[Phrase]) -> Phrase | None:
        """Return the next phrase with a sound; what the ones before it lose is noted."""
        for phrase in coming:
            places = (self._reading.to_original(each.span) for each in phrase.unread)
            self._unread += tuple(Unread(place) for place in places)
            if phrase.words:
                return phrase
        return None

    def _told(self, chunk: Chunk) -> Chunk:
        told = replace(chunk, unread=self._unread, warnings=self._warnings)
        self._unread, self._warnings = (), ()
        return told

    def _sentence(self, phrase: Phrase, network: Network, *, last: bool) -> Iterator[Chunk]:
        with timed(self._context, "network"):
            spectrum = network(phrase.symbols, self._request.speed)
        if self._request.cancelled():
            return
        sound = np.zeros(0, np.float32)
        times = self._times(phrase, spectrum.durations)
        offset = cut = 0
        with timed(self._context, "vocoder"):
            for block in samples_of(spectrum, self._random):
                samples = block
                if not len(sound):
                    cut = leading_silence(block, _LEAD)
                    samples, offset = block[cut:], self._spoken - cut
                sound = np.concatenate([sound, block])
                final = len(sound) == len(spectrum.pitch) * HOP
                if final and last:
                    samples = samples[: len(samples) - trailing_silence(samples, _TAIL)]
                elif final and phrase.paragraph_end:
                    pause = np.zeros(round(_PARAGRAPH_PAUSE_S / self._request.speed * RATE), np.float32)
                    samples = np.concatenate([samples, pause])
                self._spoken += len(samples)
                due = times.due(sound, final=final) if times is not None else ()
                marks = [
                    Mark(max(0, offset + begin) / RATE, max(0, offset + end) / RATE, word.span)
                    for word, begin, end in due
                ]
                seconds = self._spoken / RATE
                yield Chunk(np.clip(samples, -1, 1), RATE, tuple(mark_within(mark, seconds) for mark in marks))

    def _times(self, phrase: Phrase, durations: NDArray[np.int64] | None) -> WordTimes | None:
        """Return when the words are heard; several that stand for one stretch of the text are one."""
        if durations is None:
            return None
        words = (replace(word, span=self._reading.to_original(word.span)) for word in phrase.words)
        starts = [0, *(np.cumsum(durations) * _UNIT).tolist()]
        return WordTimes(joined_words(words), starts, rate=RATE, lag=_LAG)


def _speed_warning(speed: float) -> tuple[str, ...]:
    if _SLOWEST <= speed <= _FASTEST:
        return ()
    return (f"hibari has learnt speeds from {_SLOWEST} to {_FASTEST:g}: at {speed:g} it may sound odd, or last longer",)
