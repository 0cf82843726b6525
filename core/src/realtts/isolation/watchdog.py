"""Whether a worker keeps within its limits: how long it works, how long it is silent, and what it holds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.settings import Settings

__all__ = ["Limits", "Watch"]

MEMORY_EVERY_S = 0.25
CANCEL_GRACE_S = 30.0
"""Longest silence of a worker after everything that it works on was cancelled, before it is killed."""


@dataclass(frozen=True)
class Limits:
    """What a worker may take.

    Attributes:
        request_s: Seconds of work on one request, 0: any.
        silence_s: Seconds without a sign, 0: any.
        memory: Resident bytes, 0: any.
    """

    request_s: float
    silence_s: float
    memory: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits of the settings."""
        return cls(settings.worker_deadline_s, settings.worker_silence_s, settings.worker_memory_mb << 20)


class Watch:
    """The clock of one worker, which whoever waits for it keeps.

    Args:
        limits: What it may take.
        memory: Its resident bytes.

    Attributes:
        spent: Seconds that it has worked on this request, but for the wait that still goes on.
        sign: When it was last heard of, or told something; of `time.monotonic`.
        unwanted: Whether nothing that it does now is wanted.
    """

    def __init__(self, limits: Limits, memory: Callable[[], int]) -> None:
        self.spent = 0.0
        self.sign = self._weighed = time.monotonic()
        self.unwanted = False
        self._limits = limits
        self._memory = memory

    def new_request(self) -> None:
        """What comes now belongs to another request."""
        self.spent = 0.0

    def reached(self, now: float, waited: float) -> tuple[str, str] | None:
        """What the worker did that it must not, and what to do about that; None: it keeps within its limits.

        Args:
            now: Of `time.monotonic`.
            waited: Seconds of this wait, which are not in `spent` yet.
        """
        limits, silent = self._limits, now - self.sign
        if self.unwanted and silent > CANCEL_GRACE_S:
            return f"heeded no cancellation for {CANCEL_GRACE_S:g} s", "nothing, if it was meant to stop"
        if limits.request_s and self.spent + waited > limits.request_s:
            return f"took longer than worker_deadline_s={limits.request_s:g}", "raise worker_deadline_s"
        if limits.silence_s and silent > limits.silence_s:
            return f"gave no sign for worker_silence_s={limits.silence_s:g}", "raise worker_silence_s"
        if limits.memory and now - self._weighed >= MEMORY_EVERY_S:
            self._weighed = now
            if (used := self._memory()) > limits.memory:
                what = f"took {used >> 20} MiB of memory, worker_memory_mb={limits.memory >> 20}"
                return what, "raise worker_memory_mb, or send shorter texts and smaller batches"
        return None
