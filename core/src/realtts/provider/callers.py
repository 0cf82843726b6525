"""Who calls: a thread, or a task of an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Caller", "current_caller", "waker"]

Caller = object
"""A thread or, inside an event loop, a task. The object itself: numbers of ended threads are given to new ones."""


def current_caller() -> Caller:
    """Return the calling task, or the calling thread."""
    try:
        return asyncio.current_task() or threading.current_thread()
    except RuntimeError:
        return threading.current_thread()


def waker(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> Callable[[], None]:
    """Return a function that sets the event of another thread's loop."""

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed, nobody waits any more
            loop.call_soon_threadsafe(ready.set)

    return wake
