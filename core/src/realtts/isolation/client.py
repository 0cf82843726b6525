"""The parent's side of the conversation: calls, answers, and everything that can happen to a worker meanwhile."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from realtts.contract.types import Voice
from realtts.isolation.exits import death_of, unusable
from realtts.isolation.process import WorkerProcess
from realtts.isolation.watchdog import Watch
from realtts.wire.channel import ChannelClosed, ChannelFault, Frame, Kind, OtherProtocol
from realtts.wire.messages import (
    VOICES_KEPT,
    chunk_from_json,
    event_from_json,
    record_from_json,
    request_to_json,
    samples_to_bytes,
    voice_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from realtts.contract.events import Event
    from realtts.contract.types import Chunk, Request
    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.isolation.watchdog import Limits

__all__ = ["Worker"]

T = TypeVar("T")

SLICE_S = 0.02
"""How often a waiting parent looks for cancellations, limits, and whether the worker lives."""

STOP_GRACE_S = 10.0
"""Longest wait for a worker to free its model and leave, before it is killed."""


class Worker:
    """A running worker. Used by one thread at a time, but for `pid` and `memory`.

    Args:
        environment: Where it runs.
        limits: What it may take.
        report: Receives its events.

    Attributes:
        hello: What it says of itself: versions of Python and of the core.
        crashed: Whether it ended by itself, or sent garbage; not, when it reached a limit.

    Raises:
        IsolationError: It cannot be started, or has another version of the core.
        WorkerDied: It was killed meanwhile.
    """

    def __init__(self, environment: IsolatedEnvironment, limits: Limits, report: Callable[[Event], None]) -> None:
        self._environment = environment
        self._report = report
        self._process = WorkerProcess(environment)
        self._watch = Watch(limits, self._process.memory)
        self._checked = time.monotonic()
        self._sent: dict[str, None] = {}
        self._doing = "starting"
        self._requests: Sequence[Request] = ()
        self._told: set[int] = set()  # rows whose cancellation it knows
        self.pid = self._process.pid
        self.usable = True
        self.crashed = False
        self.hello: Mapping[str, str] = {}

    def greet(self, core: str) -> None:
        """Wait for its greeting.

        Args:
            core: This process's version of the core, which must be of the same minor version.
        """
        try:
            hello = self.receive(listening=Kind.HELLO)
        except _Refused as error:
            self._not_ours(str(error))
        self.hello = hello.content
        theirs = self._understood(lambda: str(self.hello["realtts"]))
        if theirs.split(".")[:2] != core.split(".")[:2]:
            self._not_ours(f"it has realtts {theirs}, this process has {core}")

    def exited(self) -> bool:
        """Whether it is gone."""
        return not self.usable or self._process.exited()

    def memory(self) -> int:
        """Its resident bytes."""
        return self._process.memory()

    def new_request(self) -> None:
        """What comes now belongs to another request."""
        self._watch.new_request()

    def call(self, call: str, doing: str, **content: Any) -> dict[str, Any]:
        """Ask for something and wait for the reply; raises nothing that stands in it.

        Raises:
            WorkerDied: It ended, or was ended because it reached a limit.
        """
        self._begin(doing)
        self._send(Kind.CALL, {"call": call, **content})
        return self.receive(listening=Kind.REPLY).content

    def speak(self, requests: Sequence[Request], content: Mapping[str, Any]) -> None:
        """Ask for audio; `receive` gives it, and the reply at its end.

        Args:
            requests: Their ``cancelled`` are watched while waiting, their recordings sent if they were not yet.
            content: The rest of the call.
        """
        self._begin("generating", requests)
        for request in requests:
            if isinstance(request.voice, Voice):
                self._send_voice(request.voice)
        told = [request_to_json(request) for request in requests]
        self._send(Kind.CALL, {"call": "speak", "requests": told, **content})

    def credit(self) -> None:
        """Let it send one chunk more. If it has ended, what it sent before is still to be read; then comes the end."""
        with contextlib.suppress(ChannelClosed):
            self._put(Kind.CREDIT, {"chunks": 1})

    def finish(self) -> dict[str, Any]:
        """Want no more audio; the reply, once it has come."""
        self._watch.unwanted = True
        self._send(Kind.END)
        while True:
            frame = self.receive(listening=None)
            if frame.kind is Kind.REPLY:
                return frame.content

    def receive(self, listening: Kind | None = Kind.CHUNK) -> Frame:
        """The next chunk, reply or greeting; events and log records are handed on meanwhile.

        Args:
            listening: The kind that must come; ``CHUNK`` allows a reply as well. None: any.
        """
        began = self._watch.sign = time.monotonic()
        try:
            while True:
                frame = self._process.channel.receive(SLICE_S)
                now = time.monotonic()
                if now - self._checked >= SLICE_S:
                    self._check(now, now - began)
                if frame is not None:
                    self._watch.sign = now
                    if not self._handed_on(frame):
                        break
        except ChannelClosed:
            self._died("ended")
        except ChannelFault as error:
            if isinstance(error, OtherProtocol) and self._doing == "starting":
                raise _Refused(str(error)) from error
            self._died(f"sent garbage ({error})")
        self._watch.spent += time.monotonic() - began
        fits = listening is None or frame.kind is listening or (listening is Kind.CHUNK and frame.kind is Kind.REPLY)
        if not fits:
            self._died(f"sent garbage (a {frame.kind.name} where {listening.name if listening else ''} was expected)")
        return frame

    def heard(self, frame: Frame) -> tuple[int, Chunk]:
        """Whose chunk a frame holds, and the chunk."""
        return self._understood(lambda: chunk_from_json(frame.content, frame.data))

    def stop(self, *, forget: bool) -> None:
        """Let it free its model and end; kill it if it does not."""
        if not self.usable:
            return
        with contextlib.suppress(ChannelClosed, ChannelFault):
            until = time.monotonic() + STOP_GRACE_S
            self._process.channel.send(Kind.CALL, {"call": "stop", "forget": forget})
            while time.monotonic() < until and not self._process.exited():
                frame = self._process.channel.receive(SLICE_S)
                if frame is not None:
                    self._handed_on(frame)
        self._process.wait(1.0)
        self.kill()

    def kill(self) -> int:
        """End it now; its exit code."""
        self.usable = False
        return self._process.end()

    def _begin(self, doing: str, requests: Sequence[Request] = ()) -> None:
        self._doing, self._requests, self._told, self._watch.unwanted = doing, requests, set(), False

    def _send(self, kind: Kind, content: Mapping[str, Any] | None = None, data: memoryview | bytes = b"") -> None:
        try:
            self._put(kind, content, data)
        except ChannelClosed:
            self._died("ended")

    def _put(self, kind: Kind, content: Mapping[str, Any] | None = None, data: memoryview | bytes = b"") -> None:
        began = self._watch.sign = time.monotonic()
        self._process.channel.send(
            kind, content, data, waiting=lambda: self._check(time.monotonic(), time.monotonic() - began)
        )

    def _send_voice(self, voice: Voice) -> None:
        known = self._sent.pop(voice.digest, "") is None
        self._sent[voice.digest] = None
        if len(self._sent) > VOICES_KEPT:
            del self._sent[next(iter(self._sent))]
        if not known:
            self._send(Kind.VOICE, voice_to_json(voice), samples_to_bytes(voice.samples))

    def _understood(self, read: Callable[[], T]) -> T:
        """What ``read`` makes of a message.

        Raises:
            WorkerDied: It cannot make anything of it.
        """
        try:
            return read()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._died(f"sent garbage ({type(error).__name__}: {error})")

    def _handed_on(self, frame: Frame) -> bool:
        if frame.kind is Kind.EVENT:
            self._report(self._understood(lambda: event_from_json(frame.content)))
        elif frame.kind is Kind.LOG:
            record = self._understood(lambda: record_from_json(frame.content, self.pid))
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        else:
            return False
        return True

    def _check(self, now: float, waited: float) -> None:
        """Pass cancellations on, and end a worker that has gone or gone too far.

        Raises:
            WorkerDied: It has.
        """
        self._checked = now
        self._pass_on_cancellations()
        reached = self._watch.reached(now, waited)
        if reached is not None:
            self._died(*reached)

    def _pass_on_cancellations(self) -> None:
        rows = [row for row, request in enumerate(self._requests) if row not in self._told and request.cancelled()]
        if rows:
            self._told.update(rows)
            if len(self._told) == len(self._requests):
                self._watch.unwanted, self._watch.sign = True, time.monotonic()
            with contextlib.suppress(ChannelClosed):  # what it sent before is still to be read
                self._process.channel.send(Kind.CANCEL, {"rows": rows})

    def _died(self, what: str, fix: str = "") -> NoReturn:
        """End what is left of it.

        Raises:
            WorkerDied: Always, with its last lines. IsolationError: it could not even start.
        """
        self.crashed = not fix
        self._process.wait(0.0 if fix else 0.5)
        code = self.kill()
        raise death_of(self._environment.name, what, fix, self._doing, code=code, lines=self._process.last_lines())

    def _not_ours(self, what: str) -> NoReturn:
        self.kill()
        raise unusable(self._environment.name, what)


class _Refused(Exception):
    """The worker speaks another protocol."""
