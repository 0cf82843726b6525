"""A caller's way through the queue: taking a place, waiting for the turn, and not waiting for itself."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from realtts.errors import Busy, WouldDeadlock
from realtts.provider.callers import current_caller

if TYPE_CHECKING:
    from realtts.provider.callers import Caller
    from realtts.provider.engine import Engine
    from realtts.provider.jobs import Job

__all__ = ["Turn"]


class _Stream(Protocol):
    """A stream, as far as waiting for it goes."""

    @property
    def open(self) -> bool:
        """Whether it was begun and neither read to its end nor closed."""

    @property
    def reader(self) -> Caller | None:
        """Who has read it last; None: nobody, or one that is gone."""


StreamT = TypeVar("StreamT", bound=_Stream)


class Turn:
    """The way of one provider's callers to its engine.

    Args:
        engine: The provider's engine.
        name: Provider name, for messages.
        wait_s: Longest wait for the turn.
    """

    def __init__(self, engine: Engine, name: str, wait_s: float) -> None:
        self._engine = engine
        self._name = name
        self._wait_s = wait_s
        self._streams: weakref.WeakSet[_Stream] = weakref.WeakSet()
        self._lock = threading.RLock()

    def add(self, stream: StreamT) -> StreamT:
        """Remember a stream, because whoever reads it must not wait for its end."""
        with self._lock:
            self._streams.add(stream)
        return stream

    def take(self, job: Job, *, urgent: bool = False) -> None:
        """Join the queue.

        Raises:
            Busy, ProviderClosed, WouldDeadlock.
        """
        if self._is_reading(current_caller()):
            raise WouldDeadlock(
                "this thread (or task) is still reading a stream of it, and would wait for itself",
                who=f"provider {self._name!r}",
                fix="read the stream to its end or close it first, or use a second RealProvider",
            )
        self._engine.submit(job, urgent=urgent)

    def _is_reading(self, caller: Caller) -> bool:
        """Tell whether a caller is reading a stream.

        No error is raised while this holds the streams: whoever keeps the error would keep them all.
        """
        with self._lock:
            streams = list(self._streams)
        # Outside the lock: dropping the last reference to a stream runs its end, here.
        return any(stream.open and stream.reader is caller for stream in streams)

    def run(self, job: Job, *, urgent: bool = False) -> Any:
        """Join the queue and wait for the result; an interrupt cancels the job.

        Raises:
            Busy: The turn did not come in time. Else what the job raised.
        """
        self.take(job, urgent=urgent)
        try:
            self.wait(job, limited=not urgent)
            return job.future.result()
        except (KeyboardInterrupt, SystemExit):
            self.cancel(job)
            raise

    async def arun(self, job: Job) -> Any:
        """Join the queue and wait without blocking the event loop; cancelling the task cancels the job."""
        self.take(job)
        timer = self.watch(job, asyncio.get_running_loop())
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            self.cancel(job)
            raise
        finally:
            timer.cancel()

    def wait(self, job: Job, *, limited: bool = True) -> None:
        """Wait until the job's turn has come; its future raises `Busy` if it never did."""
        if not job.started.wait(self._wait_s if limited else None):
            self._expire(job)

    def watch(self, job: Job, loop: asyncio.AbstractEventLoop) -> asyncio.TimerHandle:
        """Limit the wait for the job's turn by a timer of the event loop."""
        return loop.call_later(self._wait_s, lambda: None if job.started.is_set() else self._expire(job))

    def cancel(self, job: Job) -> None:
        """Cancel a job, whether it runs or still waits."""
        job.cancel()
        if self._engine.withdraw(job):
            job.drop()

    def _expire(self, job: Job) -> None:
        if self._engine.withdraw(job):
            job.drop(
                Busy(
                    f"the turn did not come within {self._wait_s:g} s",
                    who=f"provider {self._name!r}",
                    fix="try again later, or raise queue_timeout_s",
                )
            )
