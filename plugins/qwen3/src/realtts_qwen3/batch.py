"""The hook `generate_continuous`: requests that join and leave a running batch, and what they do together."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING

from realtts.accel.decoder import serve_rows, sync_interval
from realtts.accel.precision import name_of
from realtts.contract import timing
from realtts.contract.continuous import RowFailed
from realtts_qwen3.codec_rows import decode_together
from realtts_qwen3.constants import FRAMES_PER_SECOND
from realtts_qwen3.frontend import prepare
from realtts_qwen3.speaking import RowSpeaker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from realtts.accel.decoder import RowLoop, ServedRow, Speaker
    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrival, Arrivals, RowItem
    from realtts.contract.types import Request
    from realtts_qwen3.model import OptimizedModel

__all__ = ["serve"]

_SYNC_INTERVAL = 4
"""Most frames between two synchronizations with a device that computes behind the host."""

_STEERING = 16
"""Positions of a prompt, at most, that are neither text nor instruction nor recording."""


def serve(context: Context, model: OptimizedModel, arrivals: Arrivals) -> Generator[RowItem | None, None, None]:
    """Speak requests as rows of one loop, as long as there are any.

    One that needs more slots than the rows have waits until all others have ended, and gets longer ones.
    """
    engine = model.engine
    assert engine is not None, "used after unload"
    try:
        while first := arrivals.take(1):
            try:
                loop = engine.talker.rows_for(_slots(context, model, first[0].request)).loop
            except Exception as error:  # more positions than there are, or no memory for them: of this one alone
                yield first[0].number, RowFailed(error)
                continue
            batch = _Batch(context, model, loop)
            yield from serve_rows(
                context,
                _Joining(arrivals, first, batch.fits),
                loop,
                batch.begin,
                together=batch.note,
                using=lambda: engine.turns.use("talker"),
                stages=("talker", "talker"),
                cost=engine.talker.cost,
            )
    finally:
        engine.talker.release()


class _Joining:
    """Arrivals of which one was taken already, and others join only if they fit.

    Args:
        arrivals: The rest.
        first: What was taken.
        fits: Tells whether another one can join.
    """

    def __init__(self, arrivals: Arrivals, first: Sequence[Arrival], fits: Callable[[Arrival], bool]) -> None:
        self._arrivals, self._first, self._fits = arrivals, list(first), fits

    def take(self, most: int, fits: Callable[[Arrival], bool] | None = None) -> list[Arrival]:
        """Return requests that have come; ``fits`` is asked as `serve` asks it, also when nobody is there."""
        del fits
        first, self._first = self._first, []
        return [*first, *self._arrivals.take(most - len(first), self._fits)] if most > len(first) else first


class _Batch:
    """The requests of one running batch.

    Args:
        context: Of the hook.
        model: Draws and decodes.
        loop: The talker's.
    """

    def __init__(self, context: Context, model: OptimizedModel, loop: RowLoop) -> None:
        self._context, self._model, self._loop = context, model, loop
        self._interval = sync_interval(loop.decoder.device, _SYNC_INTERVAL)
        self._speakers: weakref.WeakSet[RowSpeaker] = weakref.WeakSet()
        self._fresh: Sequence[Speaker] = ()

    def fits(self, arrival: Arrival) -> bool:
        """Tell whether a request fits the rows as they are."""
        return _slots(self._context, self._model, arrival.request) <= self._loop.cache.cap

    def begin(self, row: ServedRow) -> RowSpeaker:
        """Return what speaks a request."""
        speaker = RowSpeaker(self._context, self._model, row, self._decode)
        self._speakers.add(speaker)
        return speaker

    def note(self, fresh: Sequence[Speaker]) -> None:
        """Note to which requests something has come, and look at the device again as soon as a window is full."""
        self._fresh = fresh
        wanted = [each.speech.codec.size for each in self._speakers if each.speech is not None]
        self._loop.queue.check_every = min([self._interval, *wanted])

    def _decode(self, speaker: RowSpeaker) -> None:
        """Decode the window of a request that is due, and those of others that have as many frames."""
        engine = self._model.engine
        assert engine is not None, "used after unload"
        due = [each for each in self._fresh if isinstance(each, RowSpeaker) and each is not speaker and each.is_due]
        speeches = {each.row.number: each.speech for each in (speaker, *due) if each.speech is not None}
        frames = speeches[speaker.row.number].codec.waiting
        group = {number: speech.codec for number, speech in speeches.items() if speech.codec.waiting == frames}
        codec, steps = engine.codec, frames * len(group)
        timed = timing.timed(
            self._context, "codec", steps=steps, dtype=name_of(codec.dtype), flops=codec.flops(steps),
            bytes=codec.bytes_read, rows=list(group),
        )  # fmt: skip
        with engine.turns.use("codec"), timed:
            decode_together(codec, list(group.values()))


def _slots(context: Context, model: OptimizedModel, request: Request) -> int:
    """Return the slots that a request needs at most; 0 for one that cannot be spoken.

    It fails alone, with its own error, when it begins. An error here would end the rows beside it.
    """
    try:
        ask = prepare(context, model.weights, request)
    except Exception:
        return 0
    recorded = 0
    if ask.voice is not None and ask.reference:
        recorded = math.ceil(len(ask.voice.samples) / ask.voice.sample_rate * FRAMES_PER_SECOND) + 1
    words = len(ask.instruct) + len(ask.reference) + len(ask.text)
    return _STEERING + words + recorded + ask.max_frames
