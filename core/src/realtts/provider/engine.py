"""The thread that owns a provider's model, and the fair queue in front of it.

Everything that touches the model runs here: iterators are created, advanced and closed in one thread, and thread-local
state of libraries stays in one place. Callers wait on futures. Which rows are spoken when is the scheduler's part; the
engine says whose turn it is, and calls functions while the model is at rest.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, cast

from realtts.errors import Busy, ProviderClosed, WouldDeadlock
from realtts.exception_text import format_traceback
from realtts.machine import memory
from realtts.provider.jobs import SpeakingJob
from realtts.provider.shutdown import close_at_exit, is_ending
from realtts.provider.waiting import WaitingJobs
from realtts.synthesis.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.ladder.protocols import AnyLadder
    from realtts.provider.jobs import FunctionJob, Job
    from realtts.synthesis.session import Session

__all__ = ["Engine"]

LATE_S = 1.0
"""How long before the end of its time a closing engine is ended by force, where that is possible."""


class Engine:
    """A thread with a bounded queue. The thread starts with the first job.

    Args:
        ladder: Who speaks.
        capacity: Most requests waiting.
        idle_s: Unload the model after this many seconds without a job; 0: never.
    """

    def __init__(self, ladder: AnyLadder, capacity: int, idle_s: float) -> None:
        self._name = ladder.spec.name
        self._ladder = ladder
        self._idle_s = idle_s
        self._condition = threading.Condition()
        self._waiting = WaitingJobs(f"provider {self._name!r}", capacity)
        self._scheduler = Scheduler(ladder, self)
        self._calling: FunctionJob | None = None
        self._woken = False
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
            return {"waiting": 0, "running": 0, "speaking": 0, "served": 0, "capacity": self._waiting.capacity}
        with self._condition:
            speaking = sum(1 for session in self._scheduler.sessions if session.running)
            return {
                "waiting": len(self._waiting),
                "running": speaking + int(self._calling is not None),
                "speaking": speaking,
                "served": self._served,
                "capacity": self._waiting.capacity,
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
            refused = self._waiting.add(job, urgent=urgent)
            job.submitted = time.perf_counter()
            if self._thread is None:
                self._start(job)
            self._wake()
            full = None if refused is None else self._waiting.busy(refused)
        if refused is not None:
            refused.drop(full)

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

    def wake(self) -> None:
        """Let the thread look again: something was cancelled, or a reader has made room."""
        with self._condition:
            self._wake()

    def withdraw(self, job: Job) -> bool:
        """Take a job out of the queue, its future unsettled; return False when its turn has come already."""
        with self._condition:
            self._wake()
            return self._waiting.remove(job)

    def cancel_all(self) -> int:
        """Cancel the running requests and every waiting one, but no housekeeping; return their number."""
        self._check_process()
        with self._condition:
            waiting = self._waiting.take_requests()
            running = [session for session in self._scheduler.sessions if not session.over]
            self._wake()
        for job in waiting:
            job.cancel()
            job.drop()
        for session in running:
            session.cancel()
        self.wake()
        return len(waiting) + len(running)

    def close(self, timeout_s: float | None = None) -> None:
        """Refuse further jobs, cancel all, unload the model and end the thread. May be called again, by anyone.

        Args:
            timeout_s: Longest wait for what runs; None: until it has ended.
        """
        if os.getpid() != self._pid:
            return  # a forked child has no such thread, and may have inherited a held lock; the model is the parent's
        with self._condition:
            first, self._closed = not self._closed, True
            thread, sessions = self._thread, list(self._scheduler.sessions)
            waiting = self._waiting.take_all()
            self._wake()
        for job in waiting:
            job.cancel()
            job.drop(None if isinstance(job, SpeakingJob) else self._closed_error())
        for session in sessions:
            session.cancel()
        if first:
            self._ladder.abort_load()
        if thread is None:
            if first:
                self._guarded(self._ladder.unload)
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
            self._guarded(self._ladder.abort)
            thread.join(reserve)

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        idle_since: float | None = time.monotonic()
        while not self._closed:
            if self._call_functions() or self._step():
                idle_since = time.monotonic()
            elif self._wait(idle_since):
                self._guarded(self._unload_idle)
                idle_since = None
        self._guarded(self._scheduler.close)
        self._guarded(self._ladder.unload)

    def _step(self) -> bool:
        """Speak a step; False when there is nothing to speak for now."""
        if self._scheduler.lags and not self._others_wait():
            return False
        began = time.perf_counter()
        sessions = list(self._scheduler.sessions)
        worked = False
        try:
            worked = self._scheduler.step()
        except BaseException as error:
            self._log(error)
            for session in list(self._scheduler.sessions):
                session.fail(error)
        self._note([session for session in sessions if session.over], time.perf_counter() - began)
        return worked

    def _wait(self, idle_since: float | None) -> bool:
        """Wait until something comes; True when the model has been idle for long enough."""
        with self._condition:
            if self._woken or self._closed:
                self._woken = False
                return False
            left = self._idle_left(idle_since)
            self._condition.wait(left)
            woken: bool = self._woken
            self._woken = False
            return left is not None and not woken

    def _idle_left(self, idle_since: float | None) -> float | None:
        """Return the seconds after which the model has been idle for long enough; None: never."""
        if idle_since is None or self._scheduler.sessions or not self._idle_s:
            return None
        return max(0.0, idle_since + self._idle_s - time.monotonic())

    def _unload_idle(self) -> None:
        self._ladder.unload(forget=False)

    def _note(self, over: Sequence[Session], seconds: float) -> None:
        with self._condition:
            self._served += len(over)
            self._waiting.worked(seconds, sum(_job_of(session).total_cost for session in over))
        if over:
            close_at_exit(self)

    def _call_functions(self) -> bool:
        """Call the functions whose turn has come; tell whether there was one."""
        called = False
        while (job := self._next_function()) is not None:
            self._guarded(self._scheduler.rest)
            self._guarded(job.run)
            with self._condition:
                self._calling = None
                self._served += 1
            del job  # its future holds the caller's result
            close_at_exit(self)
            called = True
        return called

    def _next_function(self) -> FunctionJob | None:
        with self._condition:
            if self._closed or self._scheduler.running:
                return None
            self._calling = self._waiting.take_function(speaking=bool(self._scheduler.sessions))
            return self._calling

    # -- turns: what the scheduler asks -------------------------------------------------------------------------------

    def choose(self, sessions: Sequence[Session], fits: Callable[[Session], bool]) -> Session | None:
        """Return the session whose next row is spoken next, see `realtts.synthesis.scheduler.Turns`."""
        with self._condition:
            job = self._waiting.next_place([_job_of(session) for session in sessions], fits)
            return None if job is None else job.session

    def quiet(self) -> bool:
        """Tell whether no row may begin, because a function waits for the model to be at rest."""
        with self._condition:
            return self._waiting.wants_rest()

    def _others_wait(self) -> bool:
        """Tell whether anybody is in the queue; streams that nobody reads are ended then."""
        with self._condition:
            if not self._waiting:
                return False
        for session in list(self._scheduler.sessions):
            stalled = getattr(session.sink, "stalled", lambda: None)()
            if stalled is not None:
                session.fail(stalled)
        return True

    def _wake(self) -> None:
        self._woken = True
        self._condition.notify_all()

    def _guarded(self, call: Callable[[], object]) -> None:
        """Call a function and log whatever it raises: an ended thread would leave later callers waiting for ever."""
        try:
            call()
        except BaseException as error:
            self._log(error)

    def _log(self, error: BaseException) -> None:
        # As text: a log handler may keep the exception, whose frames hold what was worked on.
        log = logging.getLogger(f"realtts.{self._name}")
        log.error("the provider's thread goes on after an error\n%s", format_traceback(error))
        memory.clear_frames(error)

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ProviderClosed(
                "it belongs to the parent of this forked process",
                who=f"provider {self._name!r}",
                fix="make a new RealProvider in the child, or start it with spawn",
            )

    def _closed_error(self) -> ProviderClosed:
        return ProviderClosed("it was closed", who=f"provider {self._name!r}", fix="make a new RealProvider")


def _job_of(session: Session) -> SpeakingJob:
    """Return the job of a session, which is its sink."""
    return cast("SpeakingJob", session.sink)
