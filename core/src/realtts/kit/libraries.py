"""Checkpoint files that a library reads, whatever it raises when they are damaged."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from realtts.errors import CheckpointCorrupt, RealTTSError
from realtts.kit.reading import reason_of, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["reading_by_library"]


@contextlib.contextmanager
def reading_by_library(*paths: Path) -> Iterator[None]:
    """Read files in the body by somebody else's code.

    Compiled libraries panic on some damaged files, and a panic is no `Exception`.

    Args:
        paths: The file, or several, if the library reads them together and does not say which one is damaged.

    Raises:
        CheckpointCorrupt: The library has raised.
    """
    try:
        yield
    except (RealTTSError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if len(paths) == 1:
            raise unreadable(paths[0], error) from error
        raise CheckpointCorrupt(
            f"they cannot be read: {reason_of(error)}",
            who=f"files {' and '.join(repr(path.name) for path in paths)}",
            fix="remove the files and fetch them again",
        ) from error
