"""A request as chunks: phrase after phrase, each with the marks of its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.timing import timed
from realtts.contract.types import Chunk, Mark, Unread
from realtts.errors import UnspeakableText
from realtts.kit.marks import joined_marks
from realtts.kit.onnx import RunCancelled
from realtts_kokoro.network import FRAME, RATE
from realtts_kokoro.phrases import phrases_of, raw_phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts_kokoro.catalogue import Language
    from realtts_kokoro.network import Network
    from realtts_kokoro.phonemizers import Phonemizer
    from realtts_kokoro.phrases import Phrase

__all__ = ["Speaker"]

_MOST_SHOWN = 8
_SILENCE = 10 ** (-60 / 20)
_LEAD_S, _TAIL_S = 0.03, 0.12
"""Silence that is left inside a sentence where its clauses are spoken apart: the graph makes up to half a second."""


class Speaker:
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
        self._context, self._request, self._language, self._styles = context, request, language, styles
        self._spoken = 0  # samples
        self._unread: tuple[Unread, ...] = ()
        self._warnings: tuple[str, ...] = ()
        self._missing: set[str] = set()

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
        for phrase in self._phrases(phonemizer, clauses=clauses):
            self._note(phrase)
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
        if self._unread or self._warnings:
            yield self._chunk(np.zeros(0, np.float32))

    def _phrases(self, phonemizer: Phonemizer, *, clauses: bool) -> Iterator[Phrase]:
        delivery = self._request.delivery
        if delivery.phonemes:
            span = (0, len(self._request.text))
            phrase = raw_phrase(delivery.phonemes, span) if delivery.alphabet == "ipa" else None
            if phrase is not None:
                yield phrase
                return
            said = f"{delivery.phonemes[:40]!r} ({delivery.alphabet[:20]})"
            self._warnings += (f"the model cannot speak {said}: it says the text, {self._request.text[:40]!r}",)
        coming = phrases_of(self._request.text, self._language, phonemizer, clauses=clauses)
        while True:
            with timed(self._context, "phonemes"):
                phrase = next(coming, None)
            if phrase is None:
                return
            yield phrase

    def _note(self, phrase: Phrase) -> None:
        self._unread += phrase.unread
        missing = sorted(phrase.missing - self._missing)
        if missing:
            self._missing.update(missing)
            shown = " ".join(missing[:_MOST_SHOWN])
            self._warnings += (f"the model lacks the sounds {shown}: words are spoken without them",)

    def _phrase(self, phrase: Phrase, network: Network, *, joined: bool) -> Chunk:
        style = self._styles[min(len(phrase.numbers), len(self._styles)) - 1]
        with timed(self._context, "network"):
            sound = network(phrase.numbers, style, self._request.speed, self._request.cancelled)
        cut = _leading(sound.samples) if joined else 0
        end = len(sound.samples) - (_trailing(sound.samples) if phrase.goes_on else 0)
        marks = self._marks(phrase, sound.frames, self._spoken - cut, self._spoken + end - cut)
        return self._chunk(np.clip(sound.samples[cut:end], -1, 1), marks)

    def _chunk(self, samples: NDArray[np.float32], marks: tuple[Mark, ...] = ()) -> Chunk:
        self._spoken += len(samples)
        chunk = Chunk(samples, RATE, marks, warnings=self._warnings, unread=self._unread)
        self._unread, self._warnings = (), ()
        return chunk

    def _marks(self, phrase: Phrase, frames: NDArray[np.int64] | None, offset: int, end: int) -> tuple[Mark, ...]:
        """Return the marks of the words; several that stand for one stretch of the text, such as a number, are one."""
        if frames is None:
            return ()
        ends = np.cumsum(frames).tolist()  # of the pad, then of each symbol
        marks = []
        for word in phrase.words:
            start, last = (min(max(0, offset + ends[at] * FRAME), end) / RATE for at in (word.first, word.last))
            marks.append(Mark(start, last, word.span))
        return tuple(joined_marks(marks))


def _leading(samples: NDArray[np.float32]) -> int:
    """Return how many samples of silence to take off the beginning."""
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    return max(0, int(loud[0]) - round(_LEAD_S * RATE)) if loud.size else 0


def _trailing(samples: NDArray[np.float32]) -> int:
    """Return how many samples of silence to take off the end."""
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    silent = len(samples) - int(loud[-1]) - 1 if loud.size else len(samples)
    return max(0, silent - round(_TAIL_S * RATE))
