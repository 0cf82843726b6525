"""The end of the interpreter: providers that nobody has closed are closed in order.

A thread that works in compiled code must not come back to an interpreter that is being finalized: C++ cannot be cut off
there, and the process would abort. So every provider is told to stop, then all are awaited together.
"""

from __future__ import annotations

import atexit
import time
import weakref
from typing import Protocol

from realtts.machine.process_exit import tolerate_running_threads

__all__ = ["EXIT_WAIT_S", "close_at_exit", "is_ending"]

EXIT_WAIT_S = 10.0
"""Longest wait, for all providers together, for steps that cannot be cancelled."""


class Closable(Protocol):
    """An engine, as far as its end goes."""

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""

    def close(self, timeout_s: float | None = None) -> None:
        """Cancel everything and wait for the thread."""


_engines: weakref.WeakSet[Closable] = weakref.WeakSet()
_state = {"ending": False}


def close_at_exit(engine: Closable) -> None:
    """Close an engine at the interpreter's end, before anything that was registered until now is torn down.

    Called again after each job: torch, which a job may import, registers what its own pools are ended by.
    """
    _engines.add(engine)
    if not _state["ending"]:
        atexit.unregister(_close_all)
        atexit.register(_close_all)


def is_ending() -> bool:
    """Tell whether the interpreter is ending, so that no thread may be started any more."""
    return _state["ending"]


def _close_all() -> None:
    _state["ending"] = True
    engines = [engine for engine in _engines if engine.alive]
    try:
        for engine in engines:
            engine.close(0.0)
        until = time.monotonic() + EXIT_WAIT_S
        for engine in engines:
            engine.close(max(0.0, until - time.monotonic()))
    finally:  # also when the wait is interrupted
        if any(engine.alive for engine in engines):
            tolerate_running_threads()
