"""The worker that a ladder stands in: started when it is needed, again after its death, and where the plugin is now."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.errors import IsolationError, WorkerDied
from realtts.isolation import environments
from realtts.isolation.client import Worker
from realtts.isolation.watchdog import Limits
from realtts.wire.faults import raise_told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.contract.events import Event
    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.settings import Settings

__all__ = ["Host"]

BACK_OFF_S = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Pause before a new start, by the number of deaths since the last request that went well; the last one repeats."""


class Host:
    """Starts workers, one at a time, and counts how they end.

    Args:
        environment: Where the first one runs.
        settings: Limits, and where environments lie.
        report: Receives their events.

    Attributes:
        environment: Where the newest one runs. An install while it lived leaves it alone; the next one runs in what
            was installed.
        worker: The one that runs, None when none does.
        versions: Of the newest one's packages.
    """

    def __init__(self, environment: IsolatedEnvironment, settings: Settings, report: Callable[[Event], None]) -> None:
        self.environment = environment
        self.worker: Worker | None = None
        self.versions: Mapping[str, Any] = {"realtts": environment.core_version, **environment.versions}
        self._settings = settings
        self._report = report
        self._log = logging.getLogger(f"realtts.{environment.name}")
        self._starts = self._deaths = self._in_a_row = 0
        self._last_death: str | None = None

    def running(self, setup: Callable[[], Mapping[str, Any]]) -> Worker:
        """The worker, started if there is none.

        Args:
            setup: What a new one is told first, beside its spec.

        Raises:
            IsolationError: It cannot be started. WorkerDied: it ended while it started.
        """
        if self.worker is not None:
            return self.worker
        if self._in_a_row:
            time.sleep(BACK_OFF_S[min(self._in_a_row, len(BACK_OFF_S)) - 1])
        self.environment = self._installed_now()
        self._starts += 1
        worker = Worker(self.environment, Limits.of(self._settings), self._report)
        try:
            worker.greet(importlib_metadata.version("realtts"))
            reply = worker.call("setup", "starting", spec=self.environment.spec, **setup())
            raise_told(reply)
        except WorkerDied as death:
            self.lose(death)
            raise
        except BaseException:
            worker.kill()
            raise
        self.worker = worker
        self.versions = reply["result"]["versions"]
        return worker

    def lose(self, death: WorkerDied | None) -> None:
        """The worker is gone; without an error if nobody was using it."""
        self.drop()
        self._deaths += 1
        if death is not None:
            self._in_a_row += 1
            self._last_death = death.what
            self._log.warning("%s", death)

    def drop(self) -> None:
        """End the worker at once."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.kill()

    def stop(self, *, forget: bool) -> None:
        """Let the worker free its model and end."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.stop(forget=forget)

    def went_well(self) -> None:
        """A request was spoken to its end: the next death is the first again."""
        self._in_a_row = 0

    def memory(self) -> int:
        """The worker's resident bytes, 0 without one."""
        worker = self.worker
        return worker.memory() if worker is not None else 0

    def facts(self) -> dict[str, Any]:
        """What the status tells of the worker."""
        worker = self.worker
        return {
            "python": str(self.environment.python),
            "pid": worker.pid if worker is not None else None,
            "starts": self._starts,
            "deaths": self._deaths,
            "last_death": self._last_death,
        }

    def _installed_now(self) -> IsolatedEnvironment:
        """The provider's environment as it is on disk; the known one if there is none any more."""
        try:
            return environments.find(self.environment.name, self._settings) or self.environment
        except IsolationError as error:
            self._log.warning("%s", error)
            return self.environment
