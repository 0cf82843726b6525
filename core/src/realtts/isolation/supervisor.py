"""Starts the worker of a ladder when it is needed, starts it again after its end, and counts how workers end."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.errors import IsolationError, WorkerDied
from realtts.isolation import environments
from realtts.isolation.client import Worker
from realtts.isolation.watchdog import Limits
from realtts.ladder.failures import LoadAborted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.contract.events import Event
    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.settings import Settings
    from realtts.wire.calls import Setup

__all__ = ["Supervisor", "lowest_level"]

BACK_OFF_S = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Pause before a new start, by the number of exits since the last request that went well; the last one repeats."""


class Supervisor:
    """Starts workers, one at a time, and counts how they end.

    Args:
        environment: Where the first one runs.
        settings: Limits, and where environments lie.
        report: Receives their events.

    Attributes:
        environment: Where the newest one runs. An install leaves a running worker alone; the next one runs in what
            was installed.
        worker: The one that runs, None when none does.
        versions: Versions of the newest one's packages.
    """

    def __init__(self, environment: IsolatedEnvironment, settings: Settings, report: Callable[[Event], None]) -> None:
        self.environment = environment
        self.worker: Worker | None = None
        self.versions: Mapping[str, Any] = {"realtts": environment.core_version, **environment.versions}
        self._settings = settings
        self._report = report
        self._log = logging.getLogger(f"realtts.{environment.name}")
        self._newest: Worker | None = None  # also while it starts
        self._closing = threading.Event()
        self._starting = threading.Lock()
        self._starts = self._exits = self._exits_in_a_row = 0
        self._last_exit: str | None = None

    def running(self, setup: Callable[[dict[str, Any]], Setup]) -> Worker:
        """Return the worker, started if there is none.

        Args:
            setup: Makes the first call to a new one from its spec.

        Raises:
            IsolationError: It cannot be started. WorkerDied: it ended while it started. LoadAborted: see `abort_load`.
        """
        if self.worker is not None:
            return self.worker
        if self._exits_in_a_row:
            self._closing.wait(BACK_OFF_S[min(self._exits_in_a_row, len(BACK_OFF_S)) - 1])
        self.environment = self._installed_now()
        worker = self._start()
        try:
            worker.greet(importlib_metadata.version("realtts"))
            reply = worker.call(setup(dict(self.environment.spec)), "starting")
            reply.check()
        except WorkerDied as error:
            self.on_exit(error)
            raise
        except BaseException:
            worker.kill()
            raise
        self.worker = worker
        self.versions = reply.versions
        return worker

    def abort_load(self) -> None:
        """Let a worker that starts or loads end, and start no other one; from any thread."""
        if (worker := self._close()) is not None:
            worker.abort_load()

    def abort(self) -> None:
        """Kill the worker, and start no other one; from any thread."""
        if (worker := self._close()) is not None:
            worker.abort()

    def on_exit(self, error: WorkerDied | None) -> None:
        """Count the end of the worker; without an error if nobody was using it."""
        self.kill()
        self._exits += 1
        if error is not None:
            self._exits_in_a_row += 1
            self._last_exit = error.what
            self._log.warning("%s", error)

    def kill(self) -> None:
        """End the worker at once."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.kill()

    def stop(self, *, forget: bool) -> None:
        """Let the worker free its model and end."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.stop(forget=forget)

    def on_success(self) -> None:
        """Count exits in a row from none again: a request was spoken to its end."""
        self._exits_in_a_row = 0

    def memory(self) -> int:
        """Return the worker's resident bytes, 0 without one."""
        worker = self.worker
        return worker.memory() if worker is not None else 0

    def facts(self) -> dict[str, Any]:
        """Return the worker's part of the status."""
        worker = self.worker
        return {
            "python": str(self.environment.python),
            "pid": worker.pid if worker is not None else None,
            "starts": self._starts,
            "deaths": self._exits,
            "last_death": self._last_exit,
        }

    def _close(self) -> Worker | None:
        """Start no worker from now on; return the newest."""
        with self._starting:
            self._closing.set()
            return self._newest

    def _start(self) -> Worker:
        with self._starting:
            if self._closing.is_set():
                raise LoadAborted
            self._starts += 1
            self._newest = Worker(self.environment, Limits.of(self._settings), self._report)
            return self._newest

    def _installed_now(self) -> IsolatedEnvironment:
        """Return the provider's environment as it is on disk; the last one used if there is none any more."""
        try:
            return environments.find(self.environment.name, self._settings) or self.environment
        except IsolationError as error:
            self._log.warning("%s", error)
            return self.environment


def lowest_level(log: logging.Logger) -> int:
    """Return the lowest level of records that anybody in this process listens to."""
    return min(log.getEffectiveLevel(), logging.getLogger().getEffectiveLevel())
