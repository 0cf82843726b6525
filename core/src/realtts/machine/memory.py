"""Memory of the process: how much it uses, and giving back what was freed."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from realtts.exception_text import linked, traceback_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["clear_frames", "memory_report", "release", "release_device_by", "share_heap", "trim"]

_ARENA_MAX = -8
"""glibc's number of the parameter."""

_device_release: list[Callable[[], None]] = []


def release_device_by(function: Callable[[], None]) -> None:
    """Let `release` call a function for the device's memory: whoever captures graphs knows more that can be freed."""
    _device_release[:] = [function]


def release() -> None:
    """Collect garbage and return freed memory to the operating system and the device.

    glibc keeps freed blocks for itself; ``malloc_trim`` hands them back, so that the resident size falls after an
    unload and not only the allocator's count.
    """
    gc.collect()
    torch = sys.modules.get("torch")  # not imported here: without it there is nothing to free
    if torch is not None and torch.cuda.is_initialized():
        for free in _device_release or [torch.cuda.empty_cache]:
            free()
    trim()


def trim() -> None:
    """Return the holes that loading has left in the C library's heap: weights that were read, and then packed."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


def share_heap() -> None:
    """Let all threads that begin from now on allocate from one heap; for servers, before they have threads.

    glibc gives each thread one of its own, and what is freed at the end of such a heap stays with the process for good:
    a large request of each thread adds up. From the one heap it goes back to the system.
    """
    if sys.platform.startswith("linux") and "MALLOC_ARENA_MAX" not in os.environ:
        with contextlib.suppress(OSError, AttributeError):  # musl has one heap and no mallopt
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def clear_frames(error: BaseException) -> None:
    """Empty the frames of an exception and of all that led to it: their locals hold the tensors of a dead model."""
    for link in linked(error, contexts=True):
        traceback.clear_frames(traceback_of(link))


def memory_report(device: str) -> dict[str, Any]:
    """Return bytes in use: ``rss`` of the process and, on CUDA, ``device_allocated`` and ``device_reserved``."""
    import psutil

    report: dict[str, Any] = {"rss": psutil.Process().memory_info().rss}
    torch = sys.modules.get("torch")
    if torch is not None and device.startswith("cuda") and torch.cuda.is_initialized():
        report["device_allocated"] = torch.cuda.memory_allocated(device)
        report["device_reserved"] = torch.cuda.memory_reserved(device)
    return report
