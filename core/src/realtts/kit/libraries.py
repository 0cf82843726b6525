"""Checkpoint files that a library reads, whatever it raises when they are damaged."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from realtts.errors import RealTTSError
from realtts.kit.reading import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["reading_by_library"]


@contextlib.contextmanager
def reading_by_library(path: Path) -> Iterator[None]:
    """Read a file in the body by somebody else's code.

    Compiled libraries panic on some damaged files, and a panic is no `Exception`.

    Args:
        path: The file.

    Raises:
        CheckpointCorrupt: The library has raised.
    """
    try:
        yield
    except (RealTTSError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise unreadable(path, error) from error
