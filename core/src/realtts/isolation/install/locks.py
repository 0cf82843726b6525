"""A lock between processes that the system frees when its holders end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from realtts.errors import InstallFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["locked"]

_PAUSE_S = 0.1


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold the lock of a file, which is made when it is not there and never removed.

    Args:
        path: The file.
        waiting: Called once when somebody else holds the lock.

    Yields:
        The lock's descriptor. A program that inherits it holds the lock as well, until it ends: so what an interrupted
        install has started cannot write where the next one works.

    Raises:
        InstallFailed: The file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InstallFailed(
            f"{path} cannot be made: {error.strerror or error}", who="isolation",
            fix="set REALTTS_DATA_DIR to a folder that can be written", phase="wait",
        ) from error  # fmt: skip
    try:
        if not _taken(descriptor):
            waiting()
            while not _taken(descriptor):
                time.sleep(_PAUSE_S)
        yield descriptor
    finally:
        os.close(descriptor)  # not unlocked: whoever has inherited it keeps it


if sys.platform == "win32":
    import msvcrt

    def _taken(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _taken(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
