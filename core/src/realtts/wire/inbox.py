"""The parent's end of what a worker sends: nothing leaves it that was not checked.

`realtts.wire.reading` checks each message for itself; here it is checked that the worker may say it now: after its
greeting, to the call that is open, of the rows that are spoken, no more chunks of a row than it was allowed, one end of
each, and chunks that keep the contract of plugins.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from realtts.contract.events import Event
from realtts.errors import InvalidChunk, WorkerDied
from realtts.wire.calls import ListVoices, Reply, Speak
from realtts.wire.channel import ChannelFault, Frame
from realtts.wire.messages import ChunkMessage, LogMessage
from realtts.wire.reading import Hello, read_from_worker
from realtts.wire.rows import RowOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.checks import ChunkChecks
    from realtts.contract.types import Chunk
    from realtts.wire.calls import Call
    from realtts.wire.channel import Channel
    from realtts.wire.faults import ErrorMessage

__all__ = ["Inbox", "Spoken"]

PARTIAL_S = 10.0
"""Longest wait for the rest of a frame: frames are sent whole, whatever the model does meanwhile."""

MOST_UNASKED = 1000
"""Events and log records that are taken from an idle worker before the next call."""


class Spoken(NamedTuple):
    """A chunk that was checked, and the row that it belongs to."""

    row: int
    chunk: Chunk


class Inbox:
    """Messages of one worker. Used by one thread at a time.

    Args:
        channel: Where they come from.
        on_event: Receives its events.
        on_record: Receives its log records.

    Attributes:
        last_at: When the last whole message came; of `time.monotonic`.
    """

    def __init__(
        self, channel: Channel, on_event: Callable[[Event], None], on_record: Callable[[LogMessage], None]
    ) -> None:
        self.last_at = time.monotonic()
        self._channel = channel
        self._on_event = on_event
        self._on_record = on_record
        self._greeted = False
        self._call: Call | None = None  # the one that is not answered yet
        self._checks: ChunkChecks | None = None
        self._credit: dict[int, int] = {}  # row -> chunks that it may send
        self._finishing = False  # no more is wanted, so that rows need no end
        self._released: set[int] = set()  # rows that need none
        self._partial_since: float | None = None

    def open(self, call: Call, checks: ChunkChecks | None = None) -> None:
        """Expect the answer to a call, which is sent next.

        Args:
            call: The call.
            checks: Of the chunks that it asks for.
        """
        self._call, self._checks = call, checks
        self._credit, self._finishing, self._released = {}, False, set()

    def expect(self, row: int, text: str) -> None:
        """Expect chunks and the end of a row of the open call, which is sent next."""
        assert isinstance(self._call, Speak), "a row without a call to speak"
        assert self._checks is not None, "a call to speak without checks"
        self._checks.begin(row, text)
        self._credit[row] = self._call.window

    def allow_chunk(self, row: int) -> bool:
        """Let the worker send one chunk more of a row; False when the row is over."""
        if row not in self._credit:
            return False
        self._credit[row] += 1
        return True

    def release(self, row: int) -> None:
        """Need no end of a row, whose cancellation was sent."""
        self._released.add(row)

    def finish(self) -> None:
        """Expect no more ends of rows: nobody wants them."""
        self._finishing = True

    def take(self, timeout_s: float) -> Hello | Reply | Spoken | RowOutcome | Event | LogMessage | None:
        """Return the next message, None when none is complete in time. Events and log records are handed on before.

        Raises:
            ChannelClosed: The worker is gone. ChannelFault: what it sent is no message, or it may not send it now.
        """
        frame = self._channel.receive(timeout_s)
        now = time.monotonic()
        if frame is None:
            self._check_partial(now)
            return None
        self.last_at, self._partial_since = now, None
        message = read_from_worker(frame)
        match message:
            case Event():
                self._on_event(message)
            case LogMessage():
                self._on_record(message)
            case Hello():
                self._greet()
            case Reply():
                self._answer(frame, message)
            case ChunkMessage():
                return self._chunk(frame, message)
            case RowOutcome():
                self._end(frame, message)
        return message

    def check_idle(self) -> None:
        """Take what came since the last answer.

        Raises:
            ChannelClosed, ChannelFault: As `take`.
        """
        taken = 0
        while taken < MOST_UNASKED:
            # A part of a frame may be the beginning of a log record, or of garbage.
            if self.take(0.02 if self._channel.partial else 0.0001) is not None:
                taken += 1
            elif not self._channel.partial:
                return

    def _check_partial(self, now: float) -> None:
        if not self._channel.partial:
            self._partial_since = None
        elif self._partial_since is None:
            self._partial_since = now
        elif now - self._partial_since > PARTIAL_S:
            raise ChannelFault(f"a part of a frame, and not its rest for {PARTIAL_S:g} s")

    def _greet(self) -> None:
        if self._greeted:
            raise ChannelFault("a second greeting")
        self._greeted = True

    def _answer(self, frame: Frame, reply: Reply) -> None:
        call = self._check_asked(frame)
        if reply.failure is not None and not isinstance(call, (Speak, ListVoices)):
            raise ChannelFault(f"a failure of the rung in answer to {call.call!r}")
        _check_alive(reply.error, reply.failure.error if reply.failure is not None else None)
        if reply.error is not None and not reply.error.ours:
            raise ChannelFault(f"an error of its own: {reply.error.name}: {reply.error.message:.200}") from (
                reply.error.error()
            )
        if isinstance(call, Speak) and reply.error is None and reply.failure is None:
            self._check_complete(call)
        self._call, self._credit = None, {}

    def _check_complete(self, call: Speak) -> None:
        """Check that nothing is missing when a call to speak is over without an error."""
        if self._finishing:
            return
        if left := self._credit.keys() - self._released:
            rows = ", ".join(map(str, sorted(left)[:8]))
            raise ChannelFault(f"a reply without an end of the rows {rows}")
        if call.joins:
            raise ChannelFault("a reply while rows could still join")

    def _end(self, frame: Frame, outcome: RowOutcome) -> None:
        self._check_asked(frame)
        if outcome.row not in self._credit or self._checks is None:
            raise ChannelFault(f"an end of row {outcome.row}, which is not spoken")
        _check_alive(outcome.error)
        del self._credit[self._checks.end(outcome.row)]

    def _chunk(self, frame: Frame, message: ChunkMessage) -> Spoken:
        self._check_asked(frame)
        if self._checks is None or message.row not in self._credit:
            raise ChannelFault(f"a chunk of row {message.row}, which is not spoken")
        if self._credit[message.row] < 1:
            raise ChannelFault(f"more chunks of row {message.row} than it was allowed")
        self._credit[message.row] -= 1
        try:
            return Spoken(*self._checks.check(message.row, message.chunk(frame.data)))
        except (InvalidChunk, ValueError) as error:
            what = error.what if isinstance(error, InvalidChunk) else error
            raise ChannelFault(f"a chunk that breaks the contract: {what}") from error

    def _check_asked(self, frame: Frame) -> Call:
        """Return the open call if a frame belongs to it."""
        if not self._greeted:
            raise ChannelFault(f"a {frame.kind.name} before its greeting")
        if self._call is None or frame.call != self._channel.call:
            raise ChannelFault(f"a {frame.kind.name} that nobody has asked for")
        return self._call


def _check_alive(*errors: ErrorMessage | None) -> None:
    """Check that no error tells of the worker's own end, which only its parent can see."""
    if any(error is not None and error.kind == WorkerDied.__name__ for error in errors):
        raise ChannelFault("the news of its own end")
