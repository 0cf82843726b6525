"""Audio on standard output (``-o -``), with everything that others print there sent to standard error meanwhile."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, TYPE_CHECKING

from realtts.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["NAME", "is_stdout", "stdout_for_audio"]

NAME = "standard output"


def is_stdout(path: Path | None) -> bool:
    """Tell whether a path given on the command line stands for standard output."""
    return path is not None and str(path) == "-"


@contextlib.contextmanager
def stdout_for_audio() -> Iterator[IO[bytes]]:
    """Give standard output as a binary file; what models, C libraries included, print goes to standard error.

    Raises:
        OutputError: It is a terminal, or closed.
    """
    stream = sys.stdout
    if stream is None or not hasattr(stream, "buffer"):
        raise OutputError("it takes no audio", who=NAME, fix="write a file with -o FILE")
    if stream.isatty():
        raise OutputError("it is a terminal", who=NAME, fix="send it to a program: '... -o - | aplay', or -o FILE")
    stream.flush()
    with contextlib.redirect_stdout(sys.stderr), _own_descriptor(stream.buffer) as audio:
        yield audio


@contextlib.contextmanager
def _own_descriptor(buffer: IO[bytes]) -> Iterator[IO[bytes]]:
    """Give a file on the pipe behind the descriptor 1, which names standard error meanwhile.

    Where standard output is no such descriptor, as in tests, the buffer itself is enough.
    """
    try:
        number = buffer.fileno()
        same = number == 1 and sys.stderr.fileno() == 2
    except (OSError, ValueError, AttributeError):
        same = False
    if not same:
        yield buffer
        return
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(kept, "wb", closefd=False) as audio:
            yield audio
    finally:
        os.dup2(kept, 1)
        os.close(kept)
