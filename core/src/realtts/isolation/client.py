"""The parent's side of the conversation: calls, replies, and everything that can happen to a worker meanwhile."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from realtts.contract.events import Event
from realtts.contract.types import Voice
from realtts.isolation.exits import exit_error, unusable
from realtts.isolation.process import WorkerProcess
from realtts.isolation.watchdog import Watchdog
from realtts.ladder.rung import LoadAborted
from realtts.wire.calls import Reply, Speak, Stop
from realtts.wire.channel import ChannelClosed, ChannelFault, Frame, Kind, OtherProtocol
from realtts.wire.messages import (
    VOICES_KEPT,
    ChunkMessage,
    LogMessage,
    VoiceMessage,
    from_json,
    samples_to_bytes,
    to_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from realtts.contract.types import Chunk, Request
    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.isolation.watchdog import Limits
    from realtts.wire.calls import Call

__all__ = ["Worker"]

T = TypeVar("T")

SLICE_S = 0.02
"""How often a waiting parent looks for cancellations, limits, and whether the worker is alive."""

STOP_GRACE_S = 10.0
"""Longest wait for a worker to free its model and leave, before it is killed."""


class Worker:
    """A running worker. Used by one thread at a time, except `pid` and `memory`.

    Args:
        environment: Where it runs.
        limits: Of its time and memory.
        report: Receives its events.

    Attributes:
        usable: Whether it was not ended yet.
        crashed: Whether it ended by itself or sent garbage, rather than reached a limit.

    Raises:
        IsolationError: It cannot be started, or has another version of the core.
        WorkerDied: It was killed meanwhile.
    """

    def __init__(self, environment: IsolatedEnvironment, limits: Limits, report: Callable[[Event], None]) -> None:
        self._environment = environment
        self._report = report
        self._process = WorkerProcess(environment)
        self._watchdog = Watchdog(limits, self._process.memory)
        self._checked_at = time.monotonic()
        self._sent_voices: dict[str, None] = {}
        self._activity = "starting"
        self._requests: Sequence[Request] = ()
        self._cancelled: set[int] = set()  # rows whose cancellation was sent
        self.pid = self._process.pid
        self.usable = True
        self.crashed = False

    def greet(self, core: str) -> None:
        """Wait for its greeting.

        Args:
            core: This process's version of the core, which must be of the same minor version.

        Raises:
            IsolationError: It has another version of the core, or of the messages. WorkerDied: it ended.
        """
        try:
            hello = self.receive(expected=Kind.HELLO)
        except _Refused as error:
            self._refuse(str(error))
        version = self._read(lambda: str(hello.content["realtts"]))
        if version.split(".")[:2] != core.split(".")[:2]:
            self._refuse(f"it has realtts {version}, this process has {core}")

    def exited(self) -> bool:
        """Tell whether it is gone."""
        return not self.usable or self._process.exited()

    def memory(self) -> int:
        """Return its resident bytes."""
        return self._process.memory()

    def abort(self) -> None:
        """End a start or a load as soon as the waiting thread notices, and wait less for what was cancelled.

        From any thread: the provider closes.
        """
        self._watchdog.closing = True

    def new_request(self) -> None:
        """Start the clock of another request."""
        self._watchdog.new_request()

    def call(self, call: Call, activity: str) -> Reply:
        """Send a call and wait for its reply; raises nothing that the reply tells.

        Raises:
            WorkerDied: It ended, or was ended because it reached a limit.
        """
        self._begin(activity)
        self._send(Kind.CALL, to_json(call))
        return self.read_reply(self.receive(expected=Kind.REPLY))

    def speak(self, call: Speak, requests: Sequence[Request]) -> None:
        """Ask for audio; `receive` returns it frame by frame, and the reply at its end.

        Args:
            call: Its requests are these.
            requests: Their ``cancelled`` is watched while waiting; their recordings are sent unless they were before.
        """
        self._begin("generating", requests)
        for request in requests:
            if isinstance(request.voice, Voice):
                self._send_voice(request.voice)
        self._send(Kind.CALL, to_json(call))

    def credit(self) -> None:
        """Let it send one chunk more. If it has ended, what it sent before is read first."""
        with contextlib.suppress(ChannelClosed):
            self._put(Kind.CREDIT, {"chunks": 1})

    def finish(self) -> Reply:
        """Ask for no more audio, and wait for the reply."""
        self._watchdog.unwanted = True
        self._send(Kind.END)
        while (frame := self.receive(expected=None)).kind is not Kind.REPLY:
            pass
        return self.read_reply(frame)

    def receive(self, expected: Kind | None = Kind.CHUNK) -> Frame:
        """Return the next chunk, reply or greeting; events and log records are handed on meanwhile.

        Args:
            expected: The kind that must come; ``CHUNK`` allows a reply as well. None: any.

        Raises:
            WorkerDied: It ended, sent something else, or was ended because it reached a limit.
        """
        began = self._watchdog.sign = time.monotonic()
        try:
            while True:
                frame = self._process.channel.receive(SLICE_S)
                now = time.monotonic()
                if now - self._checked_at >= SLICE_S:
                    self._check(now, now - began)
                if frame is not None:
                    self._watchdog.sign = now
                    if not self._handle(frame):
                        break
        except ChannelClosed:
            self._died("ended")
        except ChannelFault as error:
            if isinstance(error, OtherProtocol) and self._activity == "starting":
                raise _Refused(str(error)) from error
            self._died(f"sent garbage ({error})")
        self._watchdog.spent += time.monotonic() - began
        allowed = {expected, Kind.REPLY} if expected is Kind.CHUNK else {expected}
        if expected is not None and frame.kind not in allowed:
            self._died(f"sent garbage (a {frame.kind.name} where {expected.name} was expected)")
        return frame

    def read_chunk(self, frame: Frame) -> tuple[int, Chunk]:
        """Return the row and the chunk that a frame holds."""
        message = self._read(lambda: from_json(ChunkMessage, frame.content))
        return message.row, self._read(lambda: message.chunk(frame.data))

    def read_reply(self, frame: Frame) -> Reply:
        """Return the reply that a frame holds."""
        self._requests = ()  # they hold texts, recordings and audio
        return self._read(lambda: from_json(Reply, frame.content))

    def stop(self, *, forget: bool) -> None:
        """Let it free its model and end; kill it if it does not."""
        if not self.usable:
            return
        with contextlib.suppress(ChannelClosed, ChannelFault):
            until = time.monotonic() + STOP_GRACE_S
            self._process.channel.send(Kind.CALL, to_json(Stop(forget)))
            while time.monotonic() < until and not self._process.exited():
                frame = self._process.channel.receive(SLICE_S)
                if frame is not None:
                    self._handle(frame)
        self._process.wait(1.0)
        self.kill()

    def kill(self) -> int:
        """End it now, and return its exit code."""
        self.usable = False
        self._requests = ()
        return self._process.end()

    def _begin(self, activity: str, requests: Sequence[Request] = ()) -> None:
        self._activity, self._requests, self._cancelled = activity, requests, set()
        self._watchdog.unwanted = False

    def _send(self, kind: Kind, content: Mapping[str, Any] | None = None, data: memoryview | bytes = b"") -> None:
        try:
            self._put(kind, content, data)
        except ChannelClosed:
            self._died("ended")

    def _put(self, kind: Kind, content: Mapping[str, Any] | None = None, data: memoryview | bytes = b"") -> None:
        began = self._watchdog.sign = time.monotonic()
        self._process.channel.send(
            kind, content, data, waiting=lambda: self._check(time.monotonic(), time.monotonic() - began)
        )

    def _send_voice(self, voice: Voice) -> None:
        sent = self._sent_voices.pop(voice.digest, "") is None
        self._sent_voices[voice.digest] = None
        if len(self._sent_voices) > VOICES_KEPT:
            del self._sent_voices[next(iter(self._sent_voices))]
        if not sent:
            self._send(Kind.VOICE, to_json(VoiceMessage.of(voice)), samples_to_bytes(voice.samples))

    def _read(self, read: Callable[[], T]) -> T:
        """Return what ``read`` makes of a message.

        Raises:
            WorkerDied: The message does not have its form.
        """
        try:
            return read()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._died(f"sent garbage ({type(error).__name__}: {error})")

    def _handle(self, frame: Frame) -> bool:
        """Hand an event or a log record on; False for any other frame."""
        if frame.kind is Kind.EVENT:
            self._report(self._read(lambda: from_json(Event, frame.content)))
        elif frame.kind is Kind.LOG:
            record = self._read(lambda: from_json(LogMessage, frame.content)).record(self.pid)
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        else:
            return False
        return True

    def _check(self, now: float, waited: float) -> None:
        """Send cancellations, and end a worker that reached a limit.

        Raises:
            WorkerDied: It did. LoadAborted: nobody waits for its model any more.
        """
        self._checked_at = now
        if self._watchdog.closing and self._activity in {"starting", "loading"}:
            self.kill()
            raise LoadAborted
        self._send_cancellations()
        violation = self._watchdog.violation(now, waited)
        if violation is not None:
            self._died(*violation)

    def _send_cancellations(self) -> None:
        rows = [row for row, request in enumerate(self._requests) if row not in self._cancelled and request.cancelled()]
        if rows:
            self._cancelled.update(rows)
            if len(self._cancelled) == len(self._requests):
                self._watchdog.unwanted, self._watchdog.sign = True, time.monotonic()
            with contextlib.suppress(ChannelClosed):  # what it sent before it ended is read first
                self._process.channel.send(Kind.CANCEL, {"rows": rows})

    def _died(self, what: str, fix: str = "") -> NoReturn:
        """End what is left of it.

        Args:
            what: What the worker did.
            fix: What to do about it; empty when it ended by itself.

        Raises:
            WorkerDied: Always, with its last lines. IsolationError: it could not even start.
        """
        self.crashed = not fix
        self._process.wait(0.0 if fix else 0.5)
        code = self.kill()
        raise exit_error(self._environment.name, what, fix, self._activity, code=code, lines=self._process.last_lines())

    def _refuse(self, what: str) -> NoReturn:
        self.kill()
        raise unusable(self._environment.name, what)


class _Refused(Exception):
    """The worker speaks another version of the messages."""
