"""The hook `generate_continuous` of a model on the row loop: requests join between two steps, speak, and leave.

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        return serve_rows(context, arrivals, model.loop, model.begin)

`serve_rows` takes what has come, gives it places, makes the steps, and hands each request's tokens to its speaker,
which makes chunks of them: a codec's windows, or a flow that begins when all tokens are there.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from realtts.accel.decoder.drawings import Drawings, ServedRow
from realtts.accel.decoder.step_clock import StepClock
from realtts.contract.continuous import RowEnd, RowFailed
from realtts.contract.stages import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from realtts.accel.decoder.served import ServedLoop
    from realtts.accel.decoder.step_clock import Cost
    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrival, Arrivals, RowItem
    from realtts.contract.types import Chunk

    Begin = Callable[[ServedRow], "Speaker"]

__all__ = ["Speaker", "serve_rows"]

_IDLE: Any = object()
"""What a speaker gives that has nothing to do."""


class Speaker(Protocol):
    """What makes a request's tokens audible."""

    def speak(self) -> Iterable[Chunk | None]:
        """Return an iterable of what can be made of the tokens that have come, in units that cannot be divided.

        Called once when the request has joined, and again whenever new tokens have come and all units of the call
        before are done. Between two units others are served, so one takes no longer than a few steps: a codec's
        window, a solver's step. A unit that is not the last of a chunk yields None. A chunk with a finish reason is the
        request's last one; else the request is over when nothing is drawn for it and no unit is left.
        """


def serve_rows(
    context: Context,
    arrivals: Arrivals,
    loop: ServedLoop,
    begin: Begin,
    *,
    fits: Callable[[Arrival], bool] | None = None,
    together: Callable[[Sequence[Speaker]], None] | None = None,
    using: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    stages: tuple[str, str] = ("prefill", "decode"),
    cost: Cost | None = None,
) -> Generator[RowItem | None, None, None]:
    """Speak requests that join and leave a running batch, see `realtts.contract.hooks.ProviderHooks`.

    What `begin`, a drawing's ``take`` or a speaker raises fails its request alone; its place is free then. So does
    what `RowLoop.admit` raises, such as out of memory, and a row whose logits are not finite. What a step or
    ``together`` raises is raised. However it ends, the loop has no row afterwards.

    Args:
        context: Of the hook.
        arrivals: Of the hook.
        loop: The model's row loop, or several as one, without a row.
        begin: Prepares a request (its prompt, its voice), calls `ServedRow.decode`, now or later, and returns what
            speaks it. It is not called for one that was cancelled meanwhile.
        fits: Tells whether a request may join those that are there; not asked when there is none.
        together: Called before the speakers are, with those to which something has come: for work that costs less
            for several of them at once, such as windows of a codec.
        using: Makes the block in which places are given and steps made, such as `DeviceSharing.use`.
        stages: Names of the stages of reading prompts and of drawing tokens, see `realtts.contract.timing`; may be the
            same. They are counted for the requests that they work for.
        cost: Operations and bytes of a step of so many rows, such as `Decoder.step_cost`; None: they are not counted.

    Yields:
        What came of a request, or None: at least once a step and once a unit.
    """
    service = _Service(arrivals, loop, begin, StepClock(context, stages, loop, cost), using)
    service.fits, service.together = fits, together
    try:
        while service.going():
            yield from service.turn()
    finally:
        service.close()


@dataclass(eq=False)
class _Speech:
    """A request that is spoken.

    Attributes:
        row: The request.
        speaker: Speaks it.
        units: What its speaker works off.
        fresh: Whether something has come since its speaker was asked.
        heard: Whether there was a chunk.
    """

    row: ServedRow
    speaker: Speaker
    units: Iterator[Chunk | None] | None = None
    fresh: bool = True
    heard: bool = False

    def advance(self) -> Chunk | None:
        """Do the next unit; ``_IDLE`` if there is none."""
        while True:
            if self.units is None:
                if not self.fresh:
                    none: None = _IDLE
                    return none
                self.fresh = False
                self.units = iter(self.speaker.speak())
            unit = next(self.units, _IDLE)
            if unit is not _IDLE:
                self.heard = self.heard or unit is not None
                return unit
            self.units = None

    def close(self) -> None:
        """End what its speaker works off."""
        close = getattr(self.units, "close", None)
        if close is not None:
            close()


@dataclass(eq=False)
class _Service:
    """The requests of one running batch."""

    arrivals: Arrivals
    loop: ServedLoop
    begin: Begin
    clock: StepClock
    using: Callable[[], contextlib.AbstractContextManager[object]]
    fits: Callable[[Arrival], bool] | None = None
    together: Callable[[Sequence[Speaker]], None] | None = None
    speeches: dict[int, _Speech] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.drawings = Drawings(self.loop)
        self.ends: list[RowItem] = []  # to be yielded

    def going(self) -> bool:
        """Let requests leave and join; False when there is none."""
        for speech in [each for each in self.speeches.values() if each.row.request.cancelled()]:
            self._leave(speech, RowEnd("cancelled"))
        self._join()
        return bool(self.speeches or self.ends)

    def turn(self) -> Iterator[RowItem | None]:
        """Make a step, and one unit of each speaker that has something to do."""
        if self.loop.busy:
            self._step()
        fresh = [speech.speaker for speech in self.speeches.values() if speech.fresh]
        if self.together is not None and fresh:
            self.together(fresh)
        quiet = True
        for speech in sorted(self.speeches.values(), key=lambda each: each.heard):  # first chunks first
            if (item := self._unit(speech)) is not _IDLE:
                quiet = False
                yield item
            while self.ends:
                quiet = False
                yield self.ends.pop(0)
        while self.ends:
            quiet = False
            yield self.ends.pop(0)
        if quiet:
            yield None

    def close(self) -> None:
        """Let go of everything."""
        for speech in list(self.speeches.values()):
            # Whatever fails here must not hide why it ended.
            with contextlib.suppress(Exception):
                self._leave(speech, RowEnd("cancelled"))
        self.clock.close()

    # -- joining -----------------------------------------------------------------------------------------------------

    def _join(self) -> None:
        """Give free places to requests that have none, to those that have come, and then to further drawings."""
        with self.using():
            self._place(further=False)
            # A request is there until its last sound, and may draw later or have drawn already.
            room = min(self.loop.free - self.drawings.starved, self.loop.places - len(self.speeches))
            if room > 0:
                for arrival in self.arrivals.take(room, self.fits if self.speeches else None):
                    self._begin(arrival)
            self._place(further=True)

    def _begin(self, arrival: Arrival) -> None:
        row = ServedRow(arrival, self.drawings)
        if arrival.request.cancelled():
            self.ends.append((row.number, RowEnd("cancelled")))
            return
        try:
            self.speeches[row.number] = _Speech(row, self.begin(row))
        except Exception as error:
            self.drawings.drop(row)
            self.ends.append((row.number, _end_of(error)))
            return
        self._place(further=False)

    def _place(self, *, further: bool) -> None:
        while (drawing := self.drawings.next(further=further)) is not None:
            try:
                self.drawings.place(drawing)
            except Exception as error:
                self._leave(self.speeches[drawing.row.number], _end_of(error))

    # -- speaking ----------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        # Who waits for a first sound waits for no step that is not needed for it.
        waits = any(speech.row.request.streaming and not speech.heard for speech in self.speeches.values())
        with self.using():
            blocks = self.clock.step(self.drawings, ahead=not waits)
        for block in blocks:
            drawing = self.drawings.of(block.number)
            if drawing is None:  # it was stopped while the blocks before were handed out
                continue
            speech = self.speeches[drawing.row.number]
            if block.error is not None:
                self._leave(speech, RowFailed(block.error))
                continue
            speech.fresh = True
            try:
                self.drawings.hand(drawing, block)
            except Exception as error:
                self._leave(speech, _end_of(error))

    def _unit(self, speech: _Speech) -> RowItem | None:
        """Do a speaker's next unit, and return what it has made; ``_IDLE`` if there was none."""
        idle: None = _IDLE
        if self.speeches.get(speech.row.number) is not speech:
            return idle
        if speech.row.request.cancelled():
            self._leave(speech, RowEnd("cancelled"))
            return idle
        try:
            with self.clock.unit():
                made = speech.advance()
        except Exception as error:
            self._leave(speech, _end_of(error))
            return idle
        if made is _IDLE:
            if not self.drawings.has(speech.row):
                self._leave(speech, RowEnd())
            return idle
        if made is None:
            return None
        if made.finish_reason is not None:
            self._leave(speech, RowEnd())
        return speech.row.number, made

    def _leave(self, speech: _Speech, end: RowEnd | RowFailed) -> None:
        """Free what a request has, and note its end."""
        del self.speeches[speech.row.number]
        self.clock.flush()
        self.ends.append((speech.row.number, end))
        try:
            speech.close()
        finally:
            self.drawings.drop(speech.row)


def _end_of(error: Exception) -> RowEnd | RowFailed:
    """Return the end of a request whose code has raised."""
    return RowEnd("cancelled") if isinstance(error, Cancelled) else RowFailed(error)
