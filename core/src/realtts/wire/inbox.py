"""The parent's end of what a worker sends: nothing leaves it that was not checked.

`realtts.wire.reading` checks each message for itself; here it is checked that the worker may say it now: after its
greeting, to the call that is open, no more chunks than it was allowed, and chunks that keep the contract of plugins.
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

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.checks import ChunkChecks
    from realtts.contract.types import Chunk
    from realtts.wire.calls import Call
    from realtts.wire.channel import Channel

__all__ = ["Inbox", "Spoken"]

PARTIAL_S = 10.0
"""Longest wait for the rest of a frame: frames are sent whole, whatever the model does meanwhile."""

MOST_UNASKED = 1000
"""Events and log records that are taken from an idle worker before the next call."""


class Spoken(NamedTuple):
    """A chunk that was checked, and the row of the batch that it belongs to."""

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
        self._credit = 0
        self._partial_since: float | None = None

    def open(self, call: Call, checks: ChunkChecks | None = None) -> None:
        """Expect the answer to a call, which is sent next.

        Args:
            call: The call.
            checks: Of the chunks that it asks for.
        """
        self._call, self._checks = call, checks
        self._credit = call.window if isinstance(call, Speak) else 0

    def allow_chunk(self) -> None:
        """Let the worker send one chunk more."""
        self._credit += 1

    def take(self, timeout_s: float) -> Hello | Reply | Spoken | Event | LogMessage | None:
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
        errors = [reply.error, reply.failure.error if reply.failure is not None else None]
        if any(error is not None and error.kind == WorkerDied.__name__ for error in errors):
            raise ChannelFault("the news of its own end")
        if reply.error is not None and not reply.error.ours:
            raise ChannelFault(f"an error of its own: {reply.error.name}: {reply.error.message:.200}") from (
                reply.error.error()
            )
        self._call, self._credit = None, 0

    def _chunk(self, frame: Frame, message: ChunkMessage) -> Spoken:
        self._check_asked(frame)
        if self._checks is None or self._credit < 1:
            raise ChannelFault("more chunks than it was allowed")
        self._credit -= 1
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
