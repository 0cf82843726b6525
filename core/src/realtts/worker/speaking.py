"""A call to speak, in the worker: rows come, the provider takes them, and what it makes of each is sent."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from realtts.contract.continuous import Arrival, RowEnd, RowFailed
from realtts.contract.types import Chunk, Voice
from realtts.errors import InvalidChunk, VoiceUnsuitable
from realtts.ladder.failures import StageError
from realtts.synthesis.scheduler import MOST_IDLE_STEPS, MOST_OVERTAKEN
from realtts.wire.faults import ErrorMessage
from realtts.wire.rows import RowOutcome
from realtts.worker.outflow import Outflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.types import Request
    from realtts.wire.calls import Speak
    from realtts.wire.channel import Channel
    from realtts.wire.rows import RowMessage
    from realtts.worker.inflow import Inflow, Recordings, RowControl
    from realtts.worker.ladder import WorkerLadder

__all__ = ["Speaking"]


class Speaking:
    """The rows of one call, on the ladder of a worker; for the provider they are its `Arrivals`.

    Args:
        call: The call.
        control: What the parent says of its rows.
        inflow: Where they come from.
        channel: Where chunks and ends go.
        ladder: Who speaks.
        recordings: Those that rows may name.
    """

    def __init__(
        self,
        call: Speak,
        control: RowControl,
        inflow: Inflow,
        *,
        channel: Channel,
        ladder: WorkerLadder,
        recordings: Recordings,
    ) -> None:
        self._call = call
        self._control = control
        self._inflow = inflow
        self._outflow = Outflow(channel, control)
        self._ladder = ladder
        self._recordings = recordings
        self._came = self._joined = 0  # rows so far, and those that the provider has taken
        self._callers: dict[int, int] = {}  # row that is not over -> its caller
        self._waiting: list[Arrival] = []
        self._overtaken: dict[int, int] = {}  # row that waits -> rows that have joined before it
        self._taken: set[int] = set()  # by the provider, and not over
        self._idle_steps = 0  # in a row, in which the provider has no row and takes none

    def run(self) -> None:
        """Speak until no row is left and none comes any more, or the parent wants no more.

        Raises:
            StageError: The rung failed. Else what a hook raised that is no failure of its rung.
        """
        try:
            while self._await_rows():
                self._idle_steps, before = 0, self._joined
                with contextlib.closing(self._ladder.ensure_loaded().run(self)) as items:
                    for item in items:
                        self._come(item)
                        self._pace()
                        if self._control.ended:
                            return
                if self._waiting and self._joined == before:
                    raise self._refused()
        finally:
            for row, caller in self._callers.items():
                self._ladder.stages.end(row)
                self._ladder.stages.forget(caller)

    def take(self, most: int, fits: Callable[[Arrival], bool] | None = None) -> list[Arrival]:
        """Return rows that may join, see `realtts.contract.continuous.Arrivals`."""
        self._let_in()
        taken: list[Arrival] = []
        passed: list[Arrival] = []  # those that did not fit
        for arrival in list(self._waiting):
            if len(taken) >= most or (passed and self._overtaken.get(passed[0].number, 0) >= MOST_OVERTAKEN):
                break
            if fits is not None and not fits(arrival):
                passed.append(arrival)
                continue
            for other in passed:
                self._overtaken[other.number] = self._overtaken.get(other.number, 0) + 1
            self._waiting.remove(arrival)
            self._overtaken.pop(arrival.number, None)
            self._taken.add(arrival.number)
            self._ladder.stages.begin(arrival.number, self._callers[arrival.number])
            taken.append(arrival)
        self._joined += len(taken)
        return taken

    # -- rows that come ----------------------------------------------------------------------------------------------

    def _await_rows(self) -> bool:
        """Wait for rows to speak; False when no more come, or no more is wanted."""
        changed = self._inflow.changed
        while not self._control.ended:
            self._let_in()
            self._outflow.flush()
            complete = self._came >= self._call.rows
            if self._waiting and complete:
                return True
            if complete and not self._call.joins and self._outflow.empty:
                return False
            with changed:
                changed.wait_for(lambda: self._inflow.has_rows() or self._outflow.ready() or self._control.ended)
        return False

    def _let_in(self) -> None:
        """Take in the rows that have come; those that are wrong or cancelled already end at once."""
        for message in self._inflow.take_rows():
            if isinstance(message, Voice):
                self._recordings.keep(message)
                continue
            self._came += 1
            self._callers[message.row] = message.caller
            try:
                self._waiting.append(Arrival(message.row, self._request(message)))
            except Exception as error:  # such as an option that only the plugin's own class can judge
                self._end(message.row, RowFailed(error))
        for arrival in [each for each in self._waiting if each.request.cancelled()]:
            self._waiting.remove(arrival)
            self._end(arrival.number, RowEnd("cancelled"))

    def _request(self, message: RowMessage) -> Request:
        row, digest, voice = message.row, message.request.recording, None
        if digest is not None:
            voice = self._recordings.find(digest)
            if voice is None:
                raise VoiceUnsuitable("the worker has not got the recording", who="voice", fix="report this")
        return message.request.request(self._ladder.spec, voice, lambda: self._control.is_cancelled(row))

    def _refused(self) -> StageError:
        """Make the failure of a rung whose iterator takes no row."""
        error = InvalidChunk(
            f"generate_continuous has taken none of {len(self._waiting)} requests",
            who=f"provider {self._ladder.spec.name!r}",
            fix="call arrivals.take whenever there is room",
        )
        return StageError("generate", error)

    # -- what comes of them ------------------------------------------------------------------------------------------

    def _come(self, item: tuple[int, Chunk | RowEnd | RowFailed] | None) -> None:
        """Take what the provider has made in a step."""
        if item is None:
            self._idle_steps = self._idle_steps + 1 if self._waiting and not self._taken else 0
            if self._idle_steps > MOST_IDLE_STEPS:
                raise self._refused()
            return
        row, content = item
        if isinstance(content, Chunk):
            self._outflow.chunk(row, content)
        else:
            self._end(row, content)

    def _end(self, row: int, content: RowEnd | RowFailed) -> None:
        self._taken.discard(row)
        self._overtaken.pop(row, None)
        caller, stages = self._callers.pop(row), self._ladder.stages
        stages.end(row)
        work = stages.totals(caller)
        stages.forget(caller)
        if isinstance(content, RowEnd):
            self._outflow.end(RowOutcome(row, content.reason, work=work))
        else:
            self._outflow.end(RowOutcome(row, error=ErrorMessage.of(content.error), work=work))

    def _pace(self) -> None:
        """Send what can be sent; wait while the parent takes nothing of any row that is spoken."""
        self._let_in()
        self._outflow.flush()
        changed = self._inflow.changed
        while self._blocked():
            with changed:
                changed.wait_for(lambda: self._inflow.has_rows() or not self._blocked())
            self._outflow.flush()
            if self._inflow.has_rows():
                return  # there may be room for them

    def _blocked(self) -> bool:
        """Tell whether every row that is spoken waits for the parent."""
        held = all(self._outflow.holds(row) and not self._control.is_cancelled(row) for row in self._taken)
        return bool(self._taken) and held and not self._control.ended and not self._outflow.ready()
