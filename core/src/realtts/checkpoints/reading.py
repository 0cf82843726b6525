"""Configuration files of checkpoints, and the errors of files that are of something else."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from realtts.errors import CheckpointCorrupt, CheckpointMismatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FIX", "mismatch", "read_json", "understood"]

FIX = "fetch the checkpoint again, or check that all files are of one model"
"""What the error advises of a file that is not of the model."""


def mismatch(what: str, who: str) -> CheckpointMismatch:
    """The error for a file that is not of this model.

    Args:
        what: What is wrong.
        who: The file.
    """
    return CheckpointMismatch(what, who=who, fix=FIX)


def read_json(path: Path) -> dict[str, Any]:
    """The content of a configuration file.

    Args:
        path: The file.

    Raises:
        CheckpointCorrupt: It cannot be read, or is no table.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("it is no table")
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointCorrupt(
            f"it cannot be read: {error}", who=f"file {path.name!r}", fix="remove the file and fetch it again"
        ) from error
    return content


@contextlib.contextmanager
def understood(who: str) -> Iterator[None]:
    """Inside, entries of a configuration are read; a fault in one is told as the file's.

    Args:
        who: The file.

    Raises:
        CheckpointMismatch: An entry is missing, or of a wrong type or value.
    """
    try:
        yield
    except KeyError as error:
        raise mismatch(f"the entry {error} is missing", who) from error
    except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise mismatch(f"it cannot be understood: {error}", who) from error
