"""The kinds of work that a provider's engine does, beside streams."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import time
import weakref
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any

from realtts.machine import memory
from realtts.provider.callers import current_caller
from realtts.provider.shares import ROW_COST
from realtts.synthesis.session import Session
from realtts.synthesis.whole import Collector, unspoken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.types import Chunk
    from realtts.ladder.protocols import AnyLadder
    from realtts.provider.callers import Caller
    from realtts.provider.shares import Priority
    from realtts.registry.extensions import Extensions
    from realtts.synthesis.cancellation import Deadline
    from realtts.synthesis.plan import Plan
    from realtts.synthesis.speech import Metrics, Speech

__all__ = ["FunctionJob", "Job", "SpeakingJob", "SpeechJob"]

_SHORTEST_WAIT_S = 0.01

TYPICAL_CHARS = 100
"""What a row of a text that nobody has written yet is taken for, in characters."""


class Job:
    """A piece of work for the engine.

    Attributes:
        future: Its result; done as soon as nobody will work on it any more.
        started: Set when its turn has come, or will never come.
        submitted: When it joined the queue, on the performance counter.
    """

    def __init__(self) -> None:
        self.future: Future[Any] = Future()
        # Nobody may cancel it from outside: asyncio would, and the engine could not settle it any more.
        self.future.set_running_or_notify_cancel()
        self.started = threading.Event()
        self.submitted = time.perf_counter()

    def cancel(self) -> None:
        """Tell the work to end early; from any thread."""

    def withdrawn(self) -> Any:
        """Return the result of a job that was cancelled before its turn."""
        return None

    def drop(self, error: BaseException | None = None) -> None:
        """Settle the future without working."""
        self.started.set()
        if error is not None:
            self.fail(error)
        else:
            self.settle(self.withdrawn)

    def fail(self, error: BaseException) -> None:
        """Settle the future with an error, unless it is settled; the work may go on, and what it returns is dropped."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)

    def settle(self, call: Callable[[], Any]) -> None:
        """Settle the future with what a function returns or raises."""
        try:
            result = call()
        except BaseException as error:
            memory.clear_frames(error)  # whoever keeps the error must not keep texts, voices and models with it
            self.fail(error)
        else:
            with contextlib.suppress(InvalidStateError):
                self.future.set_result(result)


class FunctionJob(Job):
    """A function that the engine's thread calls while the model is at rest: loading, unloading, listing voices.

    Args:
        function: What to call.
        after_all: Every request that came before it is done first, and none that came later begins.
    """

    def __init__(self, function: Callable[[], Any], *, after_all: bool = False) -> None:
        super().__init__()
        self.after_all = after_all
        self._function = function

    def run(self) -> None:
        """Call the function, and settle the future."""
        self.started.set()
        self.settle(self._function)


class SpeakingJob(Job):
    """Plans to be spoken within a time; the sink of their session.

    The provider is told at its next step that the time has run out. A caller whose provider never asks gets the error
    in time all the same; the thread that owns the model is busy until the provider returns.

    Args:
        plans: What to say.
        ladder: Who says it.
        extensions: Who sees the audio.
        deadline: Their time; None: any.
        live: Whether somebody hears the audio as it comes.
        priority: Whether it waits until no interactive request does.

    Attributes:
        session: What the scheduler speaks; None once it is over.
        tag: When it is next, see `realtts.provider.shares`.
        cost: Of one of its rows, in characters.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        ladder: AnyLadder,
        extensions: Extensions,
        deadline: Deadline | None,
        *,
        live: bool = False,
        priority: Priority = "interactive",
    ) -> None:
        super().__init__()
        self.priority: Priority = priority
        self.session: Session | None = Session(plans, ladder, extensions, self, live=live)
        self.tag = 0.0
        self.cost = self._chars(plans) / max(1, self._rows(plans)) + ROW_COST
        self.queued_s = 0.0
        self._plans = plans
        self._deadline = deadline
        self._caller: weakref.ref[Caller] = weakref.ref(current_caller())
        if deadline is not None:
            for plan in plans:
                plan.cancelled.limit(deadline)

    @staticmethod
    def _rows(plans: Sequence[Plan]) -> int:
        return sum(len(plan.pieces) for plan in plans)

    @staticmethod
    def _chars(plans: Sequence[Plan]) -> int:
        return sum(len(plan.text) for plan in plans) or TYPICAL_CHARS

    @property
    def total_cost(self) -> float:
        """The cost of all its rows; of a text that is still being written, of those so far."""
        return self._chars(self._plans) + self._rows(self._plans) * ROW_COST

    @property
    def caller(self) -> Caller:
        """Who has asked for it; the job itself once that is gone."""
        return self._caller() or self

    def cancel(self) -> None:
        """Tell the provider to stop; the result is what was spoken until then."""
        for plan in self._plans:
            plan.cancelled.set()

    def begun(self) -> float:
        """Note that the turn has come, and return the seconds that it took."""
        self.queued_s = time.perf_counter() - self.submitted
        self.started.set()
        if self._deadline is not None:
            self._deadline.resume()
            with contextlib.suppress(RuntimeError):  # the system gives no thread; the provider's steps are left
                threading.Thread(
                    target=self._expire, args=(self._deadline,), name="realtts-timeout", daemon=True
                ).start()
        return self.queued_s

    def deliver(self, index: int, chunk: Chunk, spoken_chars: int) -> None:
        """Take a chunk, see `realtts.synthesis.session.Sink`."""
        raise NotImplementedError

    def has_room(self) -> bool:
        """Tell whether the next piece may be spoken."""
        return True

    def finished(self, metrics: Sequence[Metrics]) -> None:
        """Settle the future: all was delivered."""
        raise NotImplementedError

    def failed(self, error: BaseException) -> None:
        """Settle the future with the error that ended the session."""
        self.session = None
        memory.clear_frames(error)  # whoever keeps the error must not keep texts, voices and models with it
        self.fail(error)

    def _expire(self, deadline: Deadline) -> None:
        """Settle the future when the time has run out, if it is not settled before."""
        while not deadline.passed():
            with contextlib.suppress(concurrent.futures.TimeoutError):
                # While the clock rests this comes back early, and waits again.
                self.future.exception(max(deadline.remaining(), _SHORTEST_WAIT_S))
                return
        self.fail(deadline.error())


class SpeechJob(SpeakingJob):
    """Texts to be spoken to their ends; the result is a list of speeches. Arguments as of `SpeakingJob`."""

    def __init__(
        self,
        plans: Sequence[Plan],
        ladder: AnyLadder,
        extensions: Extensions,
        deadline: Deadline | None = None,
        *,
        priority: Priority = "interactive",
    ) -> None:
        super().__init__(plans, ladder, extensions, deadline, priority=priority)
        self._ladder = ladder
        self._collector = Collector(plans, ladder.spec.name)

    def deliver(self, index: int, chunk: Chunk, spoken_chars: int) -> None:
        """Keep a chunk."""
        self._collector.deliver(index, chunk, spoken_chars)

    def finished(self, metrics: Sequence[Metrics]) -> None:
        """Settle the future with the speeches."""
        self.session = None
        self._collector.finished(metrics)
        self.settle(self._collector.speeches)

    def withdrawn(self) -> list[Speech]:
        """Return speeches without audio, finished as cancelled."""
        self.session = None
        return unspoken(self._plans, self._ladder, time.perf_counter() - self.submitted)
