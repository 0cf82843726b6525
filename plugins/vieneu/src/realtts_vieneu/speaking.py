"""Requests that join and leave while others are spoken, as wholes and as streams.

Each turn gives free places to sentences, draws a token of each that has one, and decodes what is due: first what is
heard first. Each sentence has a seed of its own and no row depends on its neighbours, so that a sentence is drawn alike
whatever is spoken beside it. How a stream's sound differs from the whole's is said in `realtts_vieneu.windows`.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

from realtts.contract import timing
from realtts.contract.continuous import RowEnd, RowFailed
from realtts.contract.types import Chunk
from realtts_vieneu.frontend import needs_of
from realtts_vieneu.given import Given
from realtts_vieneu.model import asking, engine_for, head_of, most_of
from realtts_vieneu.passage import passage_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from torch import Tensor

    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrival, Arrivals, RowItem
    from realtts.contract.stages import Work
    from realtts.contract.types import Request
    from realtts_vieneu.drawing import TokenRows
    from realtts_vieneu.engine import Engine
    from realtts_vieneu.frontend import Ask
    from realtts_vieneu.line import Line
    from realtts_vieneu.model import OptimizedModel
    from realtts_vieneu.passage import Passage
    from realtts_vieneu.utterance import Utterance

    _Read = tuple[Ask, list[Utterance]]

__all__ = ["speak", "speak_given"]

_MOST_DUE = 4
"""Windows of streams that may wait while tokens are drawn."""

_READ = 4
"""Sentences of a text that are read at a time; each takes two milliseconds."""


def speak(context: Context, model: OptimizedModel, arrivals: Arrivals) -> Iterator[RowItem | None]:
    """Speak requests as they come, until none is left; see the hook `generate_continuous`."""
    speaking = _Speaking(context, model)
    try:
        while True:
            speaking.join(arrivals)
            if speaking.idle:
                return
            yield from speaking.turn()
    finally:
        speaking.close()


def speak_given(context: Context, model: OptimizedModel, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
    """Speak requests that are all there, each beside the others; yields their chunks by their place in the list."""
    for item in speak(context, model, Given(requests)):
        if item is not None and isinstance(item[1], RowFailed):
            raise item[1].error
        if item is not None and isinstance(item[1], Chunk):
            yield item[0], item[1]


class _Speaking:
    """The requests that are being spoken.

    Args:
        context: Of the rung.
        model: Speaks.

    Attributes:
        passages: The requests by their numbers, those that were decoded last behind the others.
    """

    def __init__(self, context: Context, model: OptimizedModel) -> None:
        self.passages: dict[int, Passage] = {}
        self._context, self._model = context, model
        self._joining: dict[int, tuple[Arrival, Generator[None, None, _Read]]] = {}  # whose texts are being read
        self._most = most_of(context)
        self._lines: dict[int, tuple[Passage, Line]] = {}  # those that have a place, by the numbers of their rows
        self._numbers = itertools.count()
        self._needs: tuple[str, str] | None = None  # of the requests that are spoken; None: there are none
        self._due = 0  # windows of streams that were not decoded in the last turn
        self._stage = contextlib.ExitStack()
        self._work: Work | None = None

    # -- joining and leaving -----------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether there is no request."""
        return not (self.passages or self._joining)

    def join(self, arrivals: Arrivals) -> None:
        """Take requests that have come, as many as there is room for."""
        if self.idle:
            self._needs = None
        for arrival in arrivals.take(self._most - len(self.passages) - len(self._joining), self._fits):
            self._joining[arrival.number] = arrival, asking(self._context, self._model, arrival.request)

    def _joined(self) -> Iterator[RowItem]:
        """Read on in the texts of those that join; yields those that cannot be spoken."""
        for number, (arrival, steps) in list(self._joining.items()):
            self._close_stage()
            outcome: RowEnd | RowFailed | None = None
            try:
                if arrival.request.cancelled():
                    outcome = RowEnd("cancelled")
                elif passage := self._begun(arrival, steps):
                    self.passages[number] = passage
                else:
                    continue
            except Exception as error:  # whatever it is, it is this request's alone
                outcome = RowFailed(error)
            del self._joining[number]
            if outcome is not None:
                yield number, outcome

    def _fits(self, arrival: Arrival) -> bool:
        """Tell whether a request needs the weights that the others need."""
        try:
            speech_only, codec_device = needs_of(arrival.request)
        except Exception:  # which comes again where it can be reported
            return True
        needs = head_of(self._context, speech_only), codec_device or self._context.device
        self._needs = self._needs or needs
        return needs == self._needs

    def _begun(self, arrival: Arrival, steps: Generator[None, None, _Read]) -> Passage | None:
        """Read some sentences of a request that joins; returns it when the last one was read."""
        try:
            for _ in range(_READ):
                next(steps)
        except StopIteration as end:
            ask, utterances = end.value
        else:
            return None
        engine = engine_for(self._context, self._model, ask)
        return passage_of(arrival.number, arrival.request, ask, utterances, engine.codec.samples_per_frame)

    def _leave(self, passage: Passage) -> None:
        """Take a request's places away."""
        self._close_stage()
        for number in [number for number, (each, _) in self._lines.items() if each is passage]:
            del self._lines[number]
            self._rows.end(number)
        del self.passages[passage.number]

    def close(self) -> None:
        """Take all places away, and the memory of those that only many requests need."""
        self._close_stage()
        if self._lines:
            self._rows.clear()
        if self._model.engine is not None:
            self._model.engine.release()

    # -- a turn ------------------------------------------------------------------------------------------------------

    def turn(self) -> Iterator[RowItem | None]:
        """Draw a token of each sentence that has a place, and decode what is due; yields once at least."""
        silent = True
        steps = (self._joined(), self._without_cancelled(), self._drawn(), self._decoded())
        for item in itertools.chain.from_iterable(steps):
            silent = False
            yield item
        if silent:
            yield None

    def _without_cancelled(self) -> Iterator[RowItem]:
        for passage in [each for each in self.passages.values() if each.cancelled()]:
            self._leave(passage)
            yield passage.number, RowEnd("cancelled")

    def _drawn(self) -> Iterator[RowItem]:
        """Draw, unless so much waits to be decoded that it would come late; yields what has failed."""
        failed: dict[int, BaseException] = {}
        # Where the weights take turns on the device, those of the language model come back when nothing is due.
        most_due = 0 if self._engine.turns.offloaded else _MOST_DUE
        if self.passages and self._due <= most_due and (self._lines or self._next() is not None):
            with self._engine.turns.use("lm"):
                work = self._opened_stage()
                failed |= self._admit(work)
                # Who waits for a first sound waits for no step that is not needed for it.
                waits = any(passage.live and not passage.heard for passage in self.passages.values())
                for drawn in self._rows.step(work, ahead=not waits):
                    passage, line = self._lines[drawn.number]
                    line.add(drawn)
                    if drawn.error is not None:
                        failed[passage.number] = drawn.error
            self._settle()
        yield from self._failed(failed)

    def _admit(self, work: Work) -> dict[int, BaseException]:
        """Give free places to sentences; returns what has failed."""
        while self._rows.loop.free and (passage := self._next()) is not None:
            line, number = passage.next_line(), next(self._numbers)
            assert line is not None
            try:
                if not self._rows.begin(number, line.utterance, work):
                    break
            except Exception as error:
                return {passage.number: error}
            self._lines[number] = (passage, line)
            passage.begin(line)
        return {}

    def _next(self) -> Passage | None:
        """Return the request that gets the next place: one with the fewest.

        The last free places are for those that have none, because a sentence that is drawn is never stopped for others.
        """
        spare = self._rows.loop.free > self._most // 2
        waiting = [each for each in self.passages.values() if (spare or not each.placed) and each.next_line()]
        return min(waiting, key=lambda each: each.placed, default=None)

    def _settle(self) -> None:
        """Take their places from sentences that have ended, and draw those with a fault again."""
        for number, (passage, line) in list(self._lines.items()):
            if line.settle():
                self._rows.again(number, line.utterance)
            elif line.ended:
                del self._lines[number]
                self._rows.end(number)
                passage.end()

    def _decoded(self) -> Iterator[RowItem]:
        """Decode what is due: first streams that nobody has heard of, then who was not served for the longest time."""
        ready = [passage for passage in self.passages.values() if passage.is_ready()]
        due = sorted(ready, key=lambda each: each.heard or not each.live)
        chosen = self._chosen(due)
        self._due = sum(each.live for each in due) - sum(passage.live for passage, _ in chosen)
        if not chosen:
            return
        self._close_stage()
        numbers = {passage.number for passage, _ in chosen}
        try:
            sounds = self._engine.sounds(self._context, [codes for _, codes in chosen], numbers)
        except Exception as error:
            yield from self._failed(dict.fromkeys(numbers, error))
            return
        for (passage, _), samples in zip(chosen, sounds, strict=True):
            chunk = passage.feed(samples)
            self.passages[passage.number] = self.passages.pop(passage.number)  # behind the others
            if chunk is not None and not passage.cancelled():
                yield passage.number, chunk
            if passage.over:
                self._leave(passage)
                yield passage.number, RowEnd()

    def _chosen(self, due: Sequence[Passage]) -> list[tuple[Passage, Tensor]]:
        """Return what is decoded together: a window of each stream, and sentences of wholes."""
        chosen: list[tuple[Passage, Tensor]] = []
        most = self._engine.sounds_at_once
        for passage in due:
            more = True
            while more and len(chosen) < most:
                chosen.append((passage, passage.codes()))
                more = not passage.live and passage.is_ready()
        return chosen

    def _failed(self, errors: dict[int, BaseException]) -> Iterator[RowItem]:
        for number, error in errors.items():
            self._leave(self.passages[number])
            yield number, RowFailed(error)

    # -- the networks ------------------------------------------------------------------------------------------------

    @property
    def _engine(self) -> Engine:
        assert self._model.engine is not None, "used after unload"
        return self._model.engine

    @property
    def _rows(self) -> TokenRows:
        return self._engine.lm.rows

    def _opened_stage(self) -> Work:
        """Time what is drawn, as one stage for as long as the same requests are spoken and nothing is decoded."""
        if self._work is None:
            dtype = self._engine.lm.decoder.precision.products
            self._work = self._stage.enter_context(
                timing.timed(self._context, "lm", dtype=dtype, rows=frozenset(self.passages))
            )
        return self._work

    def _close_stage(self) -> None:
        self._stage.close()
        self._work = None
