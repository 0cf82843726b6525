"""A request as chunks: phrase after phrase, each with the marks of its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.timing import timed
from realtts.contract.types import Mark
from realtts.errors import UnspeakableText
from realtts.kit.onnx import RunCancelled
from realtts.kit.phrase_speaker import PhraseSpeaker
from realtts.kit.silence import leading_silence, trailing_silence
from realtts.kit.word_times import WordTimes, joined_words
from realtts_kokoro.network import FRAME, RATE
from realtts_kokoro.phrases import phrases_of, raw_phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk, Request
    from realtts_kokoro.catalogue import Language
    from realtts_kokoro.network import Network, Sound
    from realtts_kokoro.phonemizers import Phonemizer
    from realtts_kokoro.phrases import Phrase

__all__ = ["Speaker"]

_LEAD, _TAIL = round(0.03 * RATE), round(0.12 * RATE)
"""Samples of silence that stay between clauses that are spoken apart: the graph makes up to half a second."""

_LAG = round(0.04 * RATE)
"""How much later the length of a symbol begins than its sound, as measured (docs/benchmarks/2026-11-30-marks.md)."""


class Speaker(PhraseSpeaker):
    """Speaks one request.

    Args:
        context: For the times of its stages.
        request: What is asked for.
        language: In which it is read.
        styles: Of the voice, float32 of shape (n, 256).
    """

    def __init__(
        self,
        context: Context,
        request: Request,
        language: Language,
        styles: NDArray[np.float32],
    ) -> None:
        super().__init__(context, request, rate=RATE, name="the model")
        self._language, self._styles = language, styles

    def chunks(self, phonemizer: Phonemizer, network: Network, *, clauses: bool) -> Iterator[Chunk]:
        """Yield the chunks; before each phrase, and while the graph runs, the request may be cancelled.

        Args:
            phonemizer: Of the language.
            network: The graph.
            clauses: Whether the clauses of a sentence are spoken apart.

        Raises:
            UnspeakableText: No word of the text has a sound.
            InvalidOption: The graph does not take this speed.
        """
        if not network.seeded:
            self._warnings += ("this export of the graph draws noise by itself: a seed does not repeat its speech",)
        joined = False

        def read(text: str) -> Iterator[Phrase]:
            return phrases_of(text, self._language, phonemizer, clauses=clauses)

        for phrase in self._phrases(read, raw_phrase):
            if self._request.cancelled():
                return
            if phrase.words:
                try:
                    yield self._phrase(phrase, network, joined=joined)
                except RunCancelled:
                    return
            joined = phrase.goes_on
        if self._request.cancelled():
            return
        if not self._spoken:
            raise UnspeakableText(
                f"there is no sound for {self._request.text[:40]!r}", who="provider 'kokoro'",
                fix=f"give it words of its language, {self._language.tag}",
            )  # fmt: skip
        yield from self._rest()

    def _phrase(self, phrase: Phrase, network: Network, *, joined: bool) -> Chunk:
        style = self._styles[min(len(phrase.numbers), len(self._styles)) - 1]
        with timed(self._context, "network"):
            sound = network(phrase.numbers, style, self._request.speed, self._request.cancelled)
        cut = leading_silence(sound.samples, _LEAD) if joined else 0
        end = len(sound.samples) - (trailing_silence(sound.samples, _TAIL) if phrase.goes_on else 0)
        marks = self._marks(phrase, sound, cut, end)
        return self._chunk(np.clip(sound.samples[cut:end], -1, 1), marks)

    def _marks(self, phrase: Phrase, sound: Sound, cut: int, end: int) -> tuple[Mark, ...]:
        """Return the marks of the words; several that stand for one stretch of the text, such as a number, are one."""
        if sound.frames is None:
            return ()
        starts = (np.cumsum(sound.frames) * FRAME).tolist()  # behind the pad, then behind each symbol
        times = WordTimes(joined_words(phrase.words), starts, rate=RATE, lag=_LAG)
        due = times.due(sound.samples, final=True)

        def seconds(at: int) -> float:
            return (self._spoken + min(max(at, cut), end) - cut) / RATE

        return tuple(Mark(seconds(first), seconds(last), word.span) for word, first, last in due)
