"""Reading the files of a graph, with the errors that users get where they cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.documents import LFS_POINTER, is_lfs_pointer
from realtts.errors import CheckpointCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["check_fetched", "read_graph"]


def check_fetched(files: Iterable[Path], who: str) -> None:
    """Check that files are there themselves, and not what Git left in their place.

    Raises:
        CheckpointCorrupt: One is a pointer of Git LFS.
    """
    for path in files:
        if is_lfs_pointer(path):
            raise CheckpointCorrupt(f"{path}: {LFS_POINTER}", who=who, fix="run that, or give another folder")


def read_graph(path: Path, who: str) -> bytes:
    """Return what a file holds.

    Raises:
        CheckpointCorrupt: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointCorrupt(
            f"{path} cannot be read: {error.strerror or error}", who=who,
            fix="see that it can be read, or get it anew",
        ) from error  # fmt: skip
