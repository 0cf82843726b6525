"""Requests of the optimized variant that come and go: from their tokens to their chunks."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.accel.decoder import serve_rows
from realtts.contract.types import Chunk
from realtts_chatterbox.constants import RATE
from realtts_chatterbox.desk import Desk
from realtts_chatterbox.engine import utterance_of
from realtts_chatterbox.model import asked
from realtts_chatterbox.noise import Noise
from realtts_chatterbox.utterance import heard
from realtts_chatterbox.watermark import marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.accel.decoder import RowBlock, ServedRow
    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.types import FinishReason
    from realtts_chatterbox.codec import Codec
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.engine import Engine
    from realtts_chatterbox.flow import Piece
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.model import OptimizedModel
    from realtts_chatterbox.streaming import SpeechStream

__all__ = ["RowSpeaker", "speak"]

_DONE: Any = object()
"""What an exhausted iterator gives."""


def speak(context: Context, model: OptimizedModel, arrivals: Arrivals) -> Iterator[RowItem | None]:
    """Speak requests that join and leave while others are spoken; see the hook `generate_continuous`."""
    assert model.engine is not None, "used after unload"
    t3, desk = model.engine.t3, Desk[RowSpeaker]()
    served = serve_rows(
        context,
        arrivals,
        t3.rows,
        functools.partial(RowSpeaker, context, model, desk),
        fits=lambda _: not t3.rows.waits,
        using=lambda: model.turns.use("t3"),
        stages=("t3", "t3"),
        cost=t3.cost,
    )
    try:
        with contextlib.closing(served):
            for item in served:
                if item is not None and not isinstance(item[1], Chunk):
                    desk.leave(item[0])
                    t3.rows.give_up(item[0])
                yield item
    finally:
        t3.rows.trim()


class RowSpeaker:
    """Speaks one request, see `realtts.accel.decoder.Speaker`.

    A stream is a chunk of each piece, as soon as the flow has its look-ahead. Everything else is one chunk, which is
    begun when the last token is drawn.

    Args:
        context: Of the hook.
        model: Speaks.
        desk: Lets one row at a time compute.
        row: The request.

    Attributes:
        live: Whether somebody hears it as it is made.
        heard: Whether there was sound of it.
        ready: Whether there is something to compute.
    """

    def __init__(self, context: Context, model: OptimizedModel, desk: Desk[RowSpeaker], row: ServedRow) -> None:
        assert model.engine is not None, "used after unload"
        assert model.codec is not None, "used after unload"
        self.live, self.heard, self.ready = row.request.streaming, False, False
        self._context, self._model, self._desk, self._row = context, model, desk, row
        self._engine: Engine = model.engine
        self._codec: Codec = model.codec
        self._prepared: tuple[Ask, Conditionals] | None = None
        self._noise = Noise(row.request.seed, context.device)
        self._stream: SpeechStream | None = None
        self._mel: Tensor | None = None
        self._new: list[int] = []  # tokens of which nothing was begun
        self._drawn = 0  # tokens since the last chunk
        self._end: FinishReason | None = None
        desk.join(row.number, self)

    def speak(self) -> Iterator[Chunk | None]:
        """Yield what can be made now, in units: first the prompt, later sound."""
        if self._prepared is None:
            return self._joining()
        if self._stream is not None:
            tokens = self._tokens(ending=self._end is not None)
            self._stream.take(tokens)
            ready = self._end is not None or self._stream.ready(final=False)
            return self._at_desk(self._pieces(self._stream, self._end)) if ready else iter(())
        return iter(()) if self._end is None else self._at_desk(self._whole(self._end))

    # -- tokens ------------------------------------------------------------------------------------------------------

    def _joining(self) -> Iterator[None]:
        """Read the text and the voice, which may be a new one, and ask for a place."""
        ask, voice = self._prepared = asked(self._context, self._model, self._row.request)
        if self.live:
            self._stream = self._codec.stream(
                self._context, ask, voice, self._row.request.cancelled, rows=[self._row.number]
            )
        utterance = utterance_of(ask, voice)
        while not self._engine.t3.reserve(self._row.number, utterance):
            yield None
        joining = self._engine.t3.joining(utterance)
        while True:
            with self._model.turns.use("t3"):
                try:
                    next(joining)
                except StopIteration as joined:
                    self._row.decode(joined.value, self._take)
                    return
            yield None

    def _take(self, block: RowBlock) -> None:
        self._new += block.tokens
        if block.end is not None:
            self._end = "stop" if block.end == "stop" else "length"

    def _tokens(self, *, ending: bool) -> list[int]:
        """Return the new tokens that are spoken, and at the end those that end every speech."""
        tokens, self._new = heard(self._new), []
        self._drawn += len(tokens)
        return [*tokens, *(self._codec.ending() if ending else ())]

    # -- sound -------------------------------------------------------------------------------------------------------

    def _at_desk(self, work: Iterator[Chunk | None]) -> Iterator[Chunk | None]:
        """Do some work, each unit when the desk serves this row."""
        self.ready = True
        try:
            while True:
                while not self._desk.serves(self) or (self._waits_for_device and self._engine.t3.rows.busy):
                    yield None
                with self._model.turns.use("codec"):
                    made = next(work, _DONE)
                if made is _DONE:
                    return
                if made is not None or not self._hurries:
                    yield made
        finally:
            self.ready = False

    @property
    def _hurries(self) -> bool:
        """Whether units follow each other without a step between them."""
        # With offloading each change moves weights. And who is alone hears the first piece as early as ever.
        alone = self.live and not self.heard and len(self._desk.rows) == 1
        return alone or self._model.turns.offloaded

    @property
    def _waits_for_device(self) -> bool:
        return self._model.turns.offloaded and not self.live

    def _pieces(self, stream: SpeechStream, end: FinishReason | None) -> Iterator[Chunk | None]:
        for samples in stream.units(final=end is not None):
            if samples is None or not len(samples):
                yield None
                continue
            self.heard = True
            yield self._chunk(samples, None if stream.waiting else end)
            if end is not None and not stream.waiting:
                return
        if end is not None:
            yield self._chunk(None, end)

    def _whole(self, end: FinishReason) -> Iterator[Chunk | None]:
        if self._mel is None and not heard(self._new):
            self._tokens(ending=False)
            yield self._chunk(None, end)
            return
        if self._mel is None:
            yield from self._solved()
            yield None
        assert self._mel is not None
        self._tokens(ending=False)
        samples = self._codec.samples(self._context, self._mel, self._noise, rows=[self._row.number])
        yield self._chunk(samples, end)

    def _solved(self) -> Iterator[None]:
        """Compute the mel, and that of others that are as far, where the flow is solved together."""
        steps, context = self._asked[0].steps, self._context
        others = [each for each in self._desk.rows if each is not self and each.solves(steps)]
        group = [self, *others[: self._codec.together - 1]]
        rows, cancelled = [each._row.number for each in group], self._row.request.cancelled
        pieces = [each._piece() for each in group]
        mels = yield from self._codec.mels(context, pieces, steps, rows=rows, cancelled=cancelled)
        for each, mel in zip(group, mels, strict=True):
            each._mel = mel

    def solves(self, steps: int) -> bool:
        """Tell whether the next thing to compute is the flow of the whole, in so many steps."""
        return self.ready and not self.live and self._mel is None and self._asked[0].steps == steps

    def _piece(self) -> Piece:
        return self._codec.piece(heard(self._new), self._asked[1], self._noise)

    @property
    def _asked(self) -> tuple[Ask, Conditionals]:
        assert self._prepared is not None, "used before it has joined"
        return self._prepared

    def _chunk(self, samples: Tensor | None, end: FinishReason | None) -> Chunk:
        ask, _ = self._asked
        on_host = np.zeros(0, np.float32) if samples is None else _host(samples)
        on_host = marked(self._context, self._model.watermarker, ask, on_host, rows=[self._row.number])
        warnings, unread = (ask.warnings, ask.unread) if end else ((), ())
        tokens, self._drawn = self._drawn, 0
        return Chunk(on_host, RATE, tokens=tokens, finish_reason=end, warnings=warnings, unread=unread)


def _host(samples: Tensor) -> NDArray[np.float32]:
    on_host: NDArray[np.float32] = samples.float().cpu().numpy()
    return on_host
