"""A request as chunks: sentence after sentence, each with the marks of its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.timing import timed
from realtts.contract.types import Mark
from realtts.errors import UnspeakableText
from realtts.kit.marks import mark_within
from realtts.kit.phrase_speaker import PhraseSpeaker
from realtts.kit.word_times import joined_words, word_spans
from realtts_piper.network import Scales
from realtts_piper.options import PiperOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk, Request
    from realtts_piper.network import Network
    from realtts_piper.phrases import Phrase, Phrases
    from realtts_piper.voice import PiperVoice

__all__ = ["Speaker"]

_SILENT = 1e-8


class Speaker(PhraseSpeaker):
    """Speaks one request.

    Args:
        context: For the times of its stages.
        request: What is asked for.
        voice: The voice's configuration.
        speaker: Number of the speaker; None where there is one only.
    """

    def __init__(self, context: Context, request: Request, voice: PiperVoice, speaker: int | None) -> None:
        super().__init__(context, request, rate=voice.rate, name="the voice")
        self._voice, self._speaker = voice, speaker
        self._options = PiperOptions.of(request)
        own, options = voice.inference, self._options
        self._scales = Scales(
            own.noise_scale if options.noise_scale is None else options.noise_scale,
            (own.length_scale if options.length_scale is None else options.length_scale) / request.speed,
            own.noise_w if options.noise_w_scale is None else options.noise_w_scale,
        )
        self._random = np.random.default_rng(request.seed)

    def chunks(self, phrases: Phrases, network: Network) -> Iterator[Chunk]:
        """Yield the chunks; before each phrase, behind each part of the graph, the request may be cancelled.

        Raises:
            UnspeakableText: No word of the text has a sound.
        """
        if not network.seeded:
            self._warnings += ("this voice draws its noise by itself: a seed does not repeat its speech",)
        for phrase in self._phrases(phrases.of, phrases.raw):
            if self._request.cancelled():
                return
            if not phrase.words:
                continue
            pause = round(self._options.sentence_silence * self._voice.rate) if self._spoken else 0
            if pause:
                yield self._chunk(np.zeros(pause, np.float32))
            yield from self._phrase(phrase, network)
            if self._request.cancelled():
                return
        if not self._spoken:
            raise UnspeakableText(
                f"the voice has no sound for {self._request.text[:40]!r}", who="provider 'piper'",
                fix=f"give it words of its language, {self._voice.tags[0]}",
            )  # fmt: skip
        yield from self._rest()

    def _phrase(self, phrase: Phrase, network: Network) -> Iterator[Chunk]:
        with timed(self._context, "network"):
            soon = not self._options.normalize_audio
            sound = network(phrase.ids, self._scales, self._speaker, self._random, soon=soon)
        if self._request.cancelled():
            return
        marks = self._marks(phrase, sound.frames)
        whole: list[NDArray[np.float32]] = []
        blocks = iter(sound.blocks)
        while (block := self._next(blocks)) is not None:
            if self._options.normalize_audio:
                whole.append(block)
            else:
                yield from self._due(self._scaled(block), marks)
            if self._request.cancelled():
                return
        if whole:
            samples = np.concatenate(whole)
            loudest = float(np.abs(samples).max(initial=0.0))
            yield from self._due(self._scaled(samples / loudest if loudest >= _SILENT else 0 * samples), marks)
        for mark in marks:  # behind the last sample by a rounding
            yield self._chunk(np.zeros(0, np.float32), (mark_within(mark, self._spoken / self._voice.rate),))

    def _next(self, blocks: Iterator[NDArray[np.float32]]) -> NDArray[np.float32] | None:
        with timed(self._context, "vocoder"):
            return next(blocks, None)

    def _scaled(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = np.clip(samples * np.float32(self._options.volume), -1, 1).astype(np.float32)
        return scaled

    def _due(self, samples: NDArray[np.float32], marks: list[Mark]) -> Iterator[Chunk]:
        """Yield samples with the marks that end in them, which are taken out of the list."""
        seconds = (self._spoken + len(samples)) / self._voice.rate
        due = [mark for mark in marks if mark.end <= seconds]
        del marks[: len(due)]
        yield self._chunk(samples, tuple(due))

    def _marks(self, phrase: Phrase, frames: NDArray[np.int64] | None) -> list[Mark]:
        """Return the marks of the words; several that stand for one stretch of the text, such as a number, are one."""
        if frames is None:
            return []
        starts = [0, *(np.cumsum(frames) * self._voice.hop_length).tolist()]
        words = joined_words(phrase.words)
        return [
            Mark((self._spoken + begin) / self._voice.rate, (self._spoken + end) / self._voice.rate, word.span)
            for word, (begin, end) in zip(words, word_spans(words, starts), strict=True)
        ]
