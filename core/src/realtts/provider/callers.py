"""Who calls: a thread, or a task of an event loop."""

from __future__ import annotations

import asyncio
import threading

__all__ = ["Caller", "current_caller"]

Caller = object
"""A thread or, inside an event loop, a task. The object itself: numbers of ended threads are given to new ones."""


def current_caller() -> Caller:
    """Return the calling task, or the calling thread."""
    try:
        return asyncio.current_task() or threading.current_thread()
    except RuntimeError:
        return threading.current_thread()
