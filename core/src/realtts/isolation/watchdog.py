"""Limits of a worker: how long it works on a request, how long it is silent, and how much memory it holds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.isolation.row_clocks import RowClocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.settings import Settings

__all__ = ["Limits", "Watchdog"]

MEMORY_EVERY_S = 0.25
CANCEL_GRACE_S = 30.0
"""Longest time that a worker goes on after everything that it works on was cancelled, before it is killed."""

CLOSE_GRACE_S = 5.0
"""The same, when the provider closes."""


@dataclass(frozen=True)
class Limits:
    """Limits of a worker; 0 is none.

    Attributes:
        request_s: Seconds of work on one request.
        silence_s: Seconds without a message.
        memory: Resident bytes.
    """

    request_s: float
    silence_s: float
    memory: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Take the limits from the settings."""
        return cls(settings.worker_deadline_s, settings.worker_silence_s, settings.worker_memory_mb << 20)


class Watchdog:
    """Clocks and limits of one worker; the client that waits for the worker updates them.

    Args:
        limits: The limits.
        memory: Returns the worker's resident bytes.

    Attributes:
        spent: Seconds that it has worked since the last request began, without the current wait.
        rows: Clocks of the rows that it speaks.
        sign: When the last message came from it or went to it; of `time.monotonic`.
        closing: Whether the provider closes.
    """

    def __init__(self, limits: Limits, memory: Callable[[], int]) -> None:
        self.spent = 0.0
        self.rows = RowClocks()
        self.sign = self._memory_read_at = time.monotonic()
        self.closing = False
        self._unwanted_since: float | None = None
        self._limits = limits
        self._memory = memory

    def new_request(self) -> None:
        """Start the clock of another request."""
        self.spent = 0.0

    def advance(self, seconds: float) -> None:
        """Count seconds that it has worked."""
        self.spent += seconds
        self.rows.advance(seconds)

    @property
    def unwanted(self) -> bool:
        """Whether everything that it works on was cancelled."""
        return self._unwanted_since is not None

    @unwanted.setter
    def unwanted(self, unwanted: bool) -> None:
        if unwanted != self.unwanted:
            self._unwanted_since = time.monotonic() if unwanted else None

    def violation(self, now: float, waited: float) -> tuple[str, str] | None:
        """Return what the worker did beyond a limit, and the fix; None while it keeps within all of them.

        Args:
            now: Of `time.monotonic`.
            waited: Seconds of the current wait, which are not in `spent` yet.
        """
        limits, silent = self._limits, now - self.sign
        grace = CLOSE_GRACE_S if self.closing else CANCEL_GRACE_S
        since = self._unwanted_since
        if (since is not None and now - since > grace) or self.rows.longest_cancelled() > grace:
            return f"heeded no cancellation for {grace:g} s", "nothing, if it was meant to stop"
        if limits.request_s and self._longest() + waited > limits.request_s:
            return f"took longer than worker_deadline_s={limits.request_s:g}", "raise worker_deadline_s"
        if limits.silence_s and silent > limits.silence_s:
            return f"gave no sign for worker_silence_s={limits.silence_s:g}", "raise worker_silence_s"
        if limits.memory and now - self._memory_read_at >= MEMORY_EVERY_S:
            self._memory_read_at = now
            if (used := self._memory()) > limits.memory:
                what = f"took {used >> 20} MiB of memory, worker_memory_mb={limits.memory >> 20}"
                return what, "raise worker_memory_mb, or send shorter texts and smaller batches"
        return None

    def _longest(self) -> float:
        """Return the most seconds that it has worked on a request: one that it speaks, or the one that it loads for."""
        return self.rows.longest() if self.rows.any else self.spent
