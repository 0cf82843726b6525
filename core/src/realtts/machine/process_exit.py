"""The end of the process while a thread is inside compiled code."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

__all__ = ["tolerate_running_threads"]


def tolerate_running_threads() -> None:
    """Let the interpreter end with its exit code although a thread is inside compiled code and cannot be stopped.

    Python before 3.14 removes a thread that comes back to it while the interpreter is finalized, by unwinding the
    thread's stack. C++ that must not be unwound, such as torch's, answers with ``std::terminate``: the process aborts
    ("terminate called without an active exception"). From now on such a thread waits instead, and the process ends
    before the destructors of libraries take away what the thread works on. Elsewhere than with glibc it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # musl has no on_exit
        libc = ctypes.CDLL(None)
        # Called in reverse order, each with the exit status: C's files are flushed, then the process is gone.
        libc.on_exit(ctypes.cast(libc._exit, ctypes.c_void_p), None)
        libc.on_exit(ctypes.cast(libc.fcloseall, ctypes.c_void_p), None)
        # Only where it is in use already: without C++ nothing can be terminated.
        library = ctypes.CDLL("libstdc++.so.6", mode=os.RTLD_NOW | os.RTLD_NOLOAD)
        library._ZSt13set_terminatePFvvE(ctypes.cast(libc.pause, ctypes.c_void_p))
