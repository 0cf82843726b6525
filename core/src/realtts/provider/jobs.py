"""The kinds of work that a provider's engine does, beside streams."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from realtts.provider.engine import Job
from realtts.synthesis.session import speak_whole, unspoken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.ladder.protocols import AnyLadder
    from realtts.registry.extensions import Extensions
    from realtts.synthesis.cancellation import Deadline
    from realtts.synthesis.plan import Plan
    from realtts.synthesis.speech import Speech

__all__ = ["FunctionJob", "SpeechJob", "TimedJob"]

_SHORTEST_WAIT_S = 0.01


class FunctionJob(Job):
    """A function that the engine's thread calls: loading, unloading, listing voices."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__()
        self._function = function

    def work(self) -> Any:
        """Call the function."""
        return self._function()

    def cancel(self) -> None:
        """Do nothing: housekeeping is short and is not cancelled."""


class TimedJob(Job):
    """Plans to be spoken within a time.

    The provider is told at its next step. A caller whose provider never asks gets the error in time all the same; the
    thread that owns the model is busy until the provider returns.

    Args:
        plans: What to say.
        deadline: Their time; None: any.
    """

    speaks = True

    def __init__(self, plans: Sequence[Plan], deadline: Deadline | None) -> None:
        super().__init__()
        self._deadline = deadline
        if deadline is not None:
            for plan in plans:
                plan.cancelled.limit(deadline)

    def run(self) -> None:
        """Work, and settle the future either way, at the latest when the time has run out."""
        if self._deadline is not None:
            self._deadline.resume()
            with contextlib.suppress(RuntimeError):  # the system gives no thread; the provider's steps are left
                threading.Thread(
                    target=self._expire, args=(self._deadline,), name="realtts-timeout", daemon=True
                ).start()
        super().run()

    def _expire(self, deadline: Deadline) -> None:
        """Settle the future when the time has run out, if it is not settled before."""
        while not deadline.passed():
            with contextlib.suppress(concurrent.futures.TimeoutError):
                # While the clock rests this comes back early, and waits again.
                self.future.exception(max(deadline.remaining(), _SHORTEST_WAIT_S))
                return
        self.fail(deadline.error())


class SpeechJob(TimedJob):
    """Texts to be spoken to their ends; the result is a list of speeches.

    Args:
        plans: What to say.
        ladder: Who says it.
        extensions: Who sees the audio.
        deadline: Their time; None: any.
    """

    def __init__(
        self, plans: Sequence[Plan], ladder: AnyLadder, extensions: Extensions, deadline: Deadline | None = None
    ) -> None:
        super().__init__(plans, deadline)
        self._plans = plans
        self._ladder = ladder
        self._extensions = extensions

    def work(self) -> list[Speech]:
        """Speak the texts."""
        return speak_whole(self._plans, self._ladder, self._extensions, self.queued_s)

    def cancel(self) -> None:
        """Tell the provider to stop; the result is what was spoken until then."""
        for plan in self._plans:
            plan.cancelled.set()

    def withdrawn(self) -> list[Speech]:
        """Return speeches without audio, finished as cancelled."""
        return unspoken(self._plans, self._ladder, self.queued_s)
