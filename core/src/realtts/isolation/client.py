"""The parent's side of the conversation: calls, replies, and everything that can happen to a worker meanwhile."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from realtts.contract.types import Voice
from realtts.errors import SettingsError
from realtts.isolation.exits import exit_error, garbage_fix, unusable
from realtts.isolation.outbox import Outbox
from realtts.isolation.process import WorkerProcess
from realtts.isolation.watchdog import Watchdog
from realtts.ladder.failures import LoadAborted
from realtts.wire.calls import Reply, Stop
from realtts.wire.channel import ChannelClosed, ChannelFault, Kind, OtherProtocol
from realtts.wire.inbox import Inbox, Spoken
from realtts.wire.messages import RequestMessage, to_json
from realtts.wire.reading import Credit, End, Hello
from realtts.wire.rows import RowMessage, RowOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.checks import ChunkChecks
    from realtts.contract.events import Event
    from realtts.contract.types import Request
    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.isolation.watchdog import Limits
    from realtts.wire.calls import Call, Speak

__all__ = ["Worker"]

T = TypeVar("T")

_ANSWERS = (Hello, Reply, Spoken, RowOutcome)
"""What a parent waits for; events and log records are handed on meanwhile."""

SLICE_S = 0.02
"""How often a waiting parent looks for cancellations, limits, and whether the worker is alive."""

LOOK_EVERY_S = 0.25
"""How often it looks whether the worker's process is there, while nothing comes."""

UNREAD_S = 10.0
"""Longest wait for a worker to take a message."""

STOP_GRACE_S = 10.0
"""Longest wait for a worker to free its model and leave, before it is killed."""


class Worker:
    """A running worker. Used by one thread at a time, except `pid`, `memory`, `abort_load` and `abort`.

    Args:
        environment: Where it runs.
        limits: Of its time and memory.
        report: Receives its events.

    Attributes:
        usable: Whether it was not ended yet.
        rows: Those of the open call that have not ended.
        crashed: Whether it ended by itself or sent garbage, rather than reached a limit.

    Raises:
        IsolationError: It cannot be started, or has another version of the core.
        WorkerDied: It was killed meanwhile.
    """

    def __init__(self, environment: IsolatedEnvironment, limits: Limits, report: Callable[[Event], None]) -> None:
        self._environment = environment
        self._process = WorkerProcess(environment)
        self._outbox = Outbox(self._process.channel, self._check_sending)
        pid = self.pid = self._process.pid
        self._inbox = Inbox(self._process.channel, report, lambda message: message.handle(pid))
        self._watchdog = Watchdog(limits, self._process.memory)
        self._checked_at = self._looked_at = time.monotonic()
        self._left_at = self._checked_at  # when it was last waited for
        self._activity = "starting"
        self._aborted = self._joins = False
        self.rows: set[int] = set()
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
            hello = self._next(greeting=True)
        except OtherProtocol as error:
            self._refuse(str(error))
        if not isinstance(hello, Hello):
            self.reject("something else than its greeting")
        if hello.realtts.split(".")[:2] != core.split(".")[:2]:
            self._refuse(f"it has realtts {hello.realtts:.40}, this process has {core}")

    def exited(self) -> bool:
        """Tell whether it is gone, or has said what it was not asked for and was ended."""
        if self.usable:
            try:
                self._inbox.check_idle()
            except (ChannelClosed, ChannelFault):
                self.kill()
        return not self.usable or self._process.exited()

    def memory(self) -> int:
        """Return its resident bytes."""
        return self._process.memory()

    def abort_load(self) -> None:
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
            WorkerDied: It ended, sent something else, or was ended because it reached a limit.
        """
        self._begin(call, activity)
        self._send(Kind.CALL, call)
        reply = self._next()
        if not isinstance(reply, Reply):
            self.reject("something else than a reply")
        return reply

    def speak(self, call: Speak, checks: ChunkChecks) -> None:
        """Ask for audio of the rows that are sent next; `receive` returns it chunk by chunk, and the reply at its end.

        Args:
            call: What is asked.
            checks: Of the chunks that come.
        """
        self._begin(call, "generating", checks)
        self._joins = call.joins
        self._send(Kind.CALL, call)

    def add(self, row: int, caller: int, request: Request) -> None:
        """Send a row of the open call, and its recording unless it was sent before; its ``cancelled`` is watched.

        Args:
            row: Its number.
            caller: Number of the request that it is a piece of.
            request: What to speak.
        """
        self.rows.add(row)
        self._outbox.watch(row, request)
        self._watchdog.rows.begin(row, caller, self._watchdog.spent)
        self._watchdog.unwanted = False
        self._inbox.expect(row, request.text)
        with contextlib.suppress(ChannelClosed):  # sending the row finds it gone as well
            if isinstance(request.voice, Voice):
                self._outbox.send_voice(request.voice)
        self._send(Kind.ROW, RowMessage(row, caller, RequestMessage.of(request)))

    def receive(self, timeout_s: float | None = None) -> Spoken | RowOutcome | Reply | None:
        """Return the next chunk or end of a row, or the reply that ends them.

        Args:
            timeout_s: Longest wait; None: until something comes, and then it is not None.

        Raises:
            WorkerDied: It ended, sent something else, or was ended because it reached a limit.
        """
        message = self._next(timeout_s=timeout_s)
        if isinstance(message, Hello):
            self.reject("a greeting instead of audio")
        return message

    def credit(self, row: int) -> None:
        """Let it send one chunk more of a row. If it has ended, what it sent before is read first."""
        if self._inbox.allow_chunk(row):
            with contextlib.suppress(ChannelClosed):
                self._outbox.send(Kind.CREDIT, Credit(row, 1))

    def finish(self) -> Reply:
        """Ask for no more, and wait for the reply; it may send what it was allowed before, and no more."""
        if self.rows or self._joins:
            self._watchdog.unwanted = True
            self._inbox.finish()
            self._send(Kind.END, End())
        while not isinstance(message := self.receive(), Reply):
            pass
        return message

    def accept(self, take: Callable[[], T]) -> T:
        """Return what ``take`` makes of a reply.

        Raises:
            WorkerDied: The reply cannot be meant.
        """
        try:
            return take()
        except (ChannelFault, SettingsError, ValueError, TypeError) as error:
            self.reject(f"{error}"[:200])

    def reject(self, what: str, cause: BaseException | None = None) -> NoReturn:
        """End it because it sent what no worker sends. Raises as `call`."""
        # A program that is no worker at all ends by itself.
        by_itself = self._activity == "starting" and self._process.wait(0.5)
        fix = "" if by_itself else garbage_fix(self._environment.name)
        self._died(f"sent garbage ({what})", fix, crashed=True, cause=cause)

    def stop(self, *, forget: bool) -> None:
        """Let it free its model and end; kill it if it does not."""
        if not self.usable:
            return
        until = time.monotonic() + STOP_GRACE_S
        with contextlib.suppress(ChannelClosed, ChannelFault):
            call = Stop(forget)
            self._inbox.open(call)
            self._process.channel.send(Kind.CALL, to_json(call), waiting=lambda: _check_time(until))
            while time.monotonic() < until and not self._process.exited():
                self._inbox.take(SLICE_S)
        if not self._aborted:
            self._process.wait(1.0)
        self.kill()

    def abort(self) -> None:
        """Kill it, from any thread: the provider was closed, and cannot wait for it."""
        self._aborted = True
        self._process.kill()

    def kill(self) -> int:
        """End it now, and return its exit code."""
        self.usable = False
        self._forget_rows()
        return self._process.end()

    def _begin(self, call: Call, activity: str, checks: ChunkChecks | None = None) -> None:
        self._activity, self._joins = activity, False
        self._watchdog.unwanted = False
        self._watchdog.sign = self._left_at = time.monotonic()
        self._forget_rows()
        self._inbox.open(call, checks)

    def _forget_rows(self) -> None:
        """Let go of the rows, which hold texts, recordings and audio."""
        self.rows.clear()
        self._outbox.clear()
        self._watchdog.rows.clear()

    def _next(
        self, *, greeting: bool = False, timeout_s: float | None = None
    ) -> Hello | Reply | Spoken | RowOutcome | None:
        """Return the next message that is not an event or a log record; check limits and cancellations meanwhile.

        Args:
            greeting: It is the first one.
            timeout_s: Longest wait, after which it is None; None: until something comes.

        Raises:
            WorkerDied: It ended, sent what it may not, or was ended because it reached a limit. OtherProtocol: its
                greeting is of another version.
        """
        began = time.monotonic()
        self._watchdog.sign += began - self._left_at  # the parent was busy itself, or its readers were
        self._left_at = began
        message: Any = None
        try:
            while not isinstance(message, _ANSWERS):
                waited = self._left_at - began
                if timeout_s is not None and waited >= timeout_s:
                    return None
                message = self._inbox.take(SLICE_S if timeout_s is None else min(SLICE_S, timeout_s - waited))
                self._note(message)
        except ChannelClosed:
            self._died("ended")
        except ChannelFault as error:
            if greeting and isinstance(error, OtherProtocol):
                raise
            self.reject(str(error), error.__cause__)
        if isinstance(message, Reply):
            self._forget_rows()
        elif isinstance(message, RowOutcome):
            self.rows.discard(message.row)
            self._outbox.forget(message.row)
            self._watchdog.rows.end(message.row)
        return message

    def _note(self, message: object) -> None:
        """Count the time of a wait that has brought a message, or None; look for what else there is to do."""
        now = time.monotonic()
        self._watchdog.advance(now - self._left_at)
        self._left_at = now
        if message is not None:
            self._watchdog.sign = now
        elif now - self._looked_at >= LOOK_EVERY_S:
            self._look(now)
        if now - self._checked_at >= SLICE_S:
            self._send_cancellations()
            self._check(0.0)

    def _send_cancellations(self) -> None:
        for row in self._outbox.send_cancellations():
            if self._joins:
                self._watchdog.rows.cancel(row)
            else:  # a batch goes on with the rows that are wanted
                self._inbox.release(row)

    def _look(self, now: float) -> None:
        """Find a worker that is gone though its channel is open, because a process that it started has inherited it."""
        self._looked_at = now
        if self._process.exited() and not self._process.channel.partial:
            raise ChannelClosed("its process has ended")

    def _send(self, kind: Kind, message: Any) -> None:
        try:
            self._outbox.send(kind, message)
        except ChannelClosed:
            self._died("ended")

    def _check_sending(self, waited: float) -> None:
        """As `_check`, while the worker does not read: one of its threads does nothing else."""
        if waited > UNREAD_S:
            self.reject(f"nothing, and read nothing for {UNREAD_S:g} s")
        self._check(waited)

    def _check(self, waited: float) -> None:
        """End a worker that reached a limit.

        Args:
            waited: Seconds of the current wait.

        Raises:
            WorkerDied: It did. LoadAborted: nobody waits for its model any more.
        """
        self._checked_at = now = time.monotonic()
        if self._watchdog.closing and self._activity in {"starting", "loading"}:
            self.kill()
            raise LoadAborted
        if self._outbox.is_unwanted():
            self._watchdog.unwanted = True
        violation = self._watchdog.violation(now, waited)
        if violation is not None:
            self._died(*violation)

    def _died(self, what: str, fix: str = "", *, crashed: bool = False, cause: BaseException | None = None) -> NoReturn:
        """End what is left of it.

        Args:
            what: What the worker did.
            fix: What to do about it; empty when it ended by itself.
            crashed: It did not merely reach a limit.
            cause: What it said about it.

        Raises:
            WorkerDied: Always, with its last lines. IsolationError: it could not even start.
        """
        self.crashed = crashed or not fix
        if self._aborted:
            what, fix, self.crashed = "was ended with its provider", "make a new RealProvider", False
        self._process.wait(0.0 if fix else 0.5)
        code = self.kill()
        name, lines = self._environment.name, self._process.last_lines()
        raise exit_error(name, what, fix, self._activity, code=code, lines=lines) from cause

    def _refuse(self, what: str) -> NoReturn:
        self.kill()
        raise unusable(self._environment.name, what)


def _check_time(until: float) -> None:
    if time.monotonic() > until:
        raise ChannelClosed("it does not read")
