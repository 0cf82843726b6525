"""Checkpoints in a folder of the user's: served as they lie."""

from __future__ import annotations

import functools
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from realtts.checkpoints.files import Files
from realtts.checkpoints.selection import choose, is_pattern, names_in_index
from realtts.documents import LFS_POINTER, is_lfs_pointer
from realtts.errors import CheckpointCorrupt, CheckpointMissing, enumeration
from realtts.kit.shards import INDEX_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realtts.checkpoints.selection import Entry

__all__ = ["in_folder", "names_in", "serve"]


def serve(path: Path, entries: Sequence[Entry], who: str) -> Files:
    """Return the files of a local folder, or of the folder that holds one file.

    A single file stands for the wanted file of its name, or else for the only one of its suffix; the others are
    looked for beside it.

    Raises:
        CheckpointMissing: Files are missing, all of them named; or the file is none of those wanted.
        CheckpointCorrupt: A file is a Git LFS pointer.
    """
    files = _serve(path, entries, who)
    for name, place in files.items():
        if is_lfs_pointer(place):
            raise CheckpointCorrupt(f"{name}: {LFS_POINTER}", who=who, fix="run that, or give another folder")
    return files


def _serve(path: Path, entries: Sequence[Entry], who: str) -> Files:
    if not path.is_file():
        return in_folder(path, entries, who)
    name = _stands_for(path, entries, who)
    rest = [entry for entry in entries if name not in entry]
    beside = in_folder(path.parent, rest, who) if rest else {}
    return Files({name: path, **beside}, source=str(path))


def in_folder(folder: Path, entries: Sequence[Entry], who: str) -> Files:
    """Return the files of a local folder.

    Raises:
        CheckpointMissing: Files are missing; names them all.
    """
    return Files({name: folder / name for name in names_in(folder, entries, who)}, source=str(folder))


def names_in(folder: Path, entries: Sequence[Entry], who: str) -> list[str]:
    """Choose files in a folder, the parts that an index lists included.

    Raises:
        CheckpointMissing: Files are missing; names them all.
    """

    @functools.cache  # an index may list very many names: each folder is read once
    def listed(parent: str) -> frozenset[str]:
        try:
            with os.scandir(folder / parent) as files:
                return frozenset(file.name for file in files if file.is_file())
        except (OSError, ValueError):
            return frozenset()

    def has(name: str) -> bool:
        parent, _, last = name.rpartition("/")
        return last in listed(parent)

    def match(pattern: str) -> list[str]:
        return sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.is_file())

    names = choose(entries, has, match, who=who, where=str(folder))
    parts = [part for name in names if name.endswith(INDEX_SUFFIX) for part in names_in_index(folder / name, name, who)]
    more = choose([(part,) for part in parts], has, match, who=who, where=str(folder))
    return list(dict.fromkeys([*names, *more]))


def _stands_for(path: Path, entries: Sequence[Entry], who: str) -> str:
    names = [name for entry in entries for name in entry if name is not None and not is_pattern(name)]
    same = [name for name in names if PurePosixPath(name).name == path.name]
    alike = [name for name in names if PurePosixPath(name).suffix == path.suffix]
    for target in (same, alike):
        if len(target) == 1:
            return target[0]
    raise CheckpointMissing(
        f"{path.name} is not one of the files that it needs: {enumeration(names)}", who=who,
        fix="give the folder that holds them",
    )  # fmt: skip
