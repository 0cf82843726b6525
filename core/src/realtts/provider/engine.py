"""The thread that owns a provider's model, and the fair queue in front of it.

Everything that touches the model runs here: iterators are created, advanced and closed in one thread, and thread-local
state of libraries stays in one place. Callers wait on futures.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any

from realtts.errors import Busy, ProviderClosed, WouldDeadlock
from realtts.exception_text import format_traceback
from realtts.machine import memory
from realtts.provider.shutdown import close_at_exit, is_ending

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Engine", "Job"]

LATE_S = 1.0
"""How long before the end of its time a closing engine is ended by force, where that is possible."""


class Job(ABC):
    """A piece of work for the engine.

    Attributes:
        future: Its result; done as soon as nobody will work on it any more.
        started: Set when its turn has come, or will never come.
        submitted: When it joined the queue, on the performance counter.
        queued_s: Seconds that it waited for the turn.
        speaks: Whether it generates audio, for the status.
    """

    speaks = False

    def __init__(self) -> None:
        self.future: Future[Any] = Future()
        # Nobody may cancel it from outside: asyncio would, and the engine could not settle it any more.
        self.future.set_running_or_notify_cancel()
        self.started = threading.Event()
        self.queued_s = 0.0
        self.submitted = time.perf_counter()

    @abstractmethod
    def work(self) -> Any:
        """Do the work, in the engine's thread."""

    @abstractmethod
    def cancel(self) -> None:
        """Tell the work to end early; from any thread."""

    def withdrawn(self) -> Any:
        """Return the result of a job that was cancelled before its turn."""
        return None

    def run(self) -> None:
        """Work, and settle the future either way."""
        self.queued_s = time.perf_counter() - self.submitted
        self.started.set()
        self._settle(self.work)

    def drop(self, error: BaseException | None = None) -> None:
        """Settle the future without working."""
        self.started.set()
        if error is not None:
            self.fail(error)
        else:
            self._settle(self.withdrawn)

    def fail(self, error: BaseException) -> None:
        """Settle the future with an error, unless it is settled; the work may go on, and what it returns is dropped."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)

    def _settle(self, call: Callable[[], Any]) -> None:
        try:
            result = call()
        except BaseException as error:
            memory.clear_frames(error)  # whoever keeps the error must not keep texts, voices and models with it
            self.fail(error)
        else:
            with contextlib.suppress(InvalidStateError):
                self.future.set_result(result)


class Engine:
    """A thread with a bounded first-in-first-out queue. The thread starts with the first job.

    Args:
        name: Provider name, for messages and the thread's name.
        capacity: Most jobs waiting.
        idle_s: Call ``on_idle`` after this many seconds without a job; 0: never.
        on_idle: What to do then, in the engine's thread.
        on_stop: What to do as soon as it is closed, in the thread that closes it.
        on_close: What to do at the end, in the engine's thread.
        on_late: What to do when it does not end in time, in the thread that closes it.
    """

    def __init__(
        self,
        name: str,
        capacity: int,
        idle_s: float,
        on_idle: Callable[[], None],
        *,
        on_stop: Callable[[], None],
        on_close: Callable[[], None],
        on_late: Callable[[], None],
    ) -> None:
        self._name = name
        self._capacity = capacity
        self._idle_s = idle_s
        self._on_idle = on_idle
        self._on_stop = on_stop
        self._on_close = on_close
        self._on_late = on_late
        self._condition = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._pid = os.getpid()
        self._served = 0

    @property
    def closed(self) -> bool:
        """Whether no further job is taken."""
        return self._closed

    @property
    def alive(self) -> bool:
        """Whether its thread runs; never in a forked child."""
        thread = self._thread
        return os.getpid() == self._pid and thread is not None and thread.is_alive()

    def counts(self) -> dict[str, int]:
        """Return the numbers of jobs waiting, running and served."""
        if os.getpid() != self._pid:
            return {"waiting": 0, "running": 0, "speaking": 0, "served": 0, "capacity": self._capacity}
        with self._condition:
            return {
                "waiting": len(self._waiting),
                "running": int(self._running is not None),
                "speaking": int(self._running is not None and self._running.speaks),
                "served": self._served,
                "capacity": self._capacity,
            }

    def submit(self, job: Job, *, urgent: bool = False) -> None:
        """Queue a job.

        Args:
            job: The work.
            urgent: Take it even when the queue is full: housekeeping must not be refused.

        Raises:
            Busy: The queue is full. ProviderClosed: there is no engine any more. WouldDeadlock: called by the engine.
        """
        self._check_process()
        if threading.current_thread() is self._thread:
            raise WouldDeadlock(
                "it was called from inside its own stages or extensions",
                who=f"provider {self._name!r}",
                fix="call it from another thread, or use a second RealProvider",
            )
        with self._condition:
            if self._closed or (self._thread is None and is_ending()):
                raise self._closed_error()
            if len(self._waiting) >= self._capacity and not urgent:
                raise Busy(
                    f"{len(self._waiting)} requests wait already",
                    who=f"provider {self._name!r}",
                    fix="try again later, raise queue_size, or use more processes",
                )
            job.submitted = time.perf_counter()
            self._waiting.append(job)
            if self._thread is None:
                self._start(job)
            self._condition.notify_all()

    def _start(self, job: Job) -> None:
        thread = threading.Thread(target=self._loop, name=f"realtts-{self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._waiting.remove(job)
            fix = "end other threads, or raise the limit of processes"
            if "shutdown" in str(error):  # from Python 3.12 on, once the main thread has ended
                fix = "use the provider once before the program's main thread ends"
            raise Busy(f"it is given no thread: {error}", who=f"provider {self._name!r}", fix=fix) from error
        self._thread = thread
        close_at_exit(self)

    def withdraw(self, job: Job) -> bool:
        """Take a job out of the queue, its future unsettled; return False when its turn has come already."""
        with self._condition:
            try:
                self._waiting.remove(job)
            except ValueError:
                return False
            return True

    def cancel_all(self) -> int:
        """Cancel the running request and every waiting one, but no housekeeping; return their number."""
        self._check_process()
        with self._condition:
            waiting = [job for job in self._waiting if job.speaks]
            running = self._running if self._running is not None and self._running.speaks else None
            self._waiting = deque(job for job in self._waiting if not job.speaks)
        for job in waiting:
            job.cancel()
            job.drop()
        if running is not None:
            running.cancel()
        return len(waiting) + int(running is not None)

    def close(self, timeout_s: float | None = None) -> None:
        """Refuse further jobs, cancel all, run ``on_close`` and end the thread. May be called again, by anyone.

        Args:
            timeout_s: Longest wait for the running job; None: until it has ended.
        """
        if os.getpid() != self._pid:
            return  # a forked child has no such thread, and may have inherited a held lock; the model is the parent's
        with self._condition:
            first, self._closed = not self._closed, True
            thread, running = self._thread, self._running
            waiting = list(self._waiting)
            self._waiting.clear()
            self._condition.notify_all()
        for job in waiting:
            job.cancel()
            job.drop(None if job.speaks else self._closed_error())
        if running is not None:
            running.cancel()
        if first:
            self._on_stop()
        if thread is None:
            if first:
                self._guarded(self._on_close)
        elif thread is not threading.current_thread():
            self._join(thread, timeout_s)

    def _join(self, thread: threading.Thread, timeout_s: float | None) -> None:
        if timeout_s is None:
            thread.join()
            return
        # What can be ended by force is ended before the time is over, so that nothing of it is left then.
        reserve = min(LATE_S, timeout_s / 4)
        thread.join(timeout_s - reserve)
        if thread.is_alive():
            self._guarded(self._on_late)
            thread.join(reserve)

    def _loop(self) -> None:
        while (job := self._next()) is not None:
            self._guarded(job.run)
            with self._condition:
                self._running = None
                self._served += 1
            del job  # its future holds the caller's audio
            close_at_exit(self)
        self._guarded(self._on_close)

    def _guarded(self, call: Callable[[], None]) -> None:
        """Call a function and log whatever it raises: an ended thread would leave later callers waiting for ever."""
        try:
            call()
        except BaseException as error:
            # As text: a log handler may keep the exception, whose frames hold what was worked on.
            log = logging.getLogger(f"realtts.{self._name}")
            log.error("the provider's thread goes on after an error\n%s", format_traceback(error))
            memory.clear_frames(error)

    def _next(self) -> Job | None:
        """Return the next job, None when the engine is closed; call ``on_idle`` once per idle spell."""
        idle_s: float | None = self._idle_s or None
        while True:
            with self._condition:
                if not self._waiting and not self._closed:
                    self._condition.wait(idle_s)
                if self._closed:
                    return None
                if self._waiting:
                    self._running = self._waiting.popleft()
                    return self._running
                if idle_s is None:
                    continue
            self._guarded(self._on_idle)
            idle_s = None

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ProviderClosed(
                "it belongs to the parent of this forked process",
                who=f"provider {self._name!r}",
                fix="make a new RealProvider in the child, or start it with spawn",
            )

    def _closed_error(self) -> ProviderClosed:
        return ProviderClosed("it was closed", who=f"provider {self._name!r}", fix="make a new RealProvider")
