"""Folders and files of the user. Imports nothing heavy."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from realtts.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "PART",
    "cache_folder",
    "check_private",
    "config_files",
    "data_folder",
    "expanded",
    "make_private",
    "part_of",
    "sync_folder",
    "trim",
    "user_config_file",
    "write_whole",
]

PART = ".part"
"""Suffix of a file that is being written."""

_OLD_S = 3600.0
"""A half-written file older than this belongs to a process that died."""


def data_folder(chosen: Path | None = None) -> Path:
    """Return the folder for voices and environments: the chosen one, ``REALTTS_DATA_DIR``, or the user's own.

    Raises:
        SettingsError: The path cannot be one.
    """
    variable = os.environ.get("REALTTS_DATA_DIR", "").strip()
    if chosen is None and not variable:
        return platformdirs.user_data_path("realtts", appauthor=False)
    return expanded(chosen if chosen is not None else Path(variable), "data_dir")


def cache_folder(chosen: Path | None = None) -> Path:
    """Return the folder for what can be made again: ``cache`` in a chosen data folder, or the user's own.

    Raises:
        SettingsError: The path cannot be one.
    """
    if chosen is None and not os.environ.get("REALTTS_DATA_DIR", "").strip():
        return platformdirs.user_cache_path("realtts", appauthor=False)
    return data_folder(chosen) / "cache"


def config_files(environ: Mapping[str, str]) -> list[Path]:
    """Return the settings files that exist, weakest first.

    Raises:
        SettingsError: ``REALTTS_CONFIG`` names no file.
    """
    if variable := environ.get("REALTTS_CONFIG"):
        path = expanded(Path(variable), "REALTTS_CONFIG")
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
            raise SettingsError("there is no such file", who=f"REALTTS_CONFIG={variable}", fix="correct or unset it")
        return [path]
    candidates = (user_config_file(), Path("realtts.toml"))
    return [path for path in candidates if path.is_file()]


def user_config_file() -> Path:
    """Return the settings file in the user's configuration folder, which need not exist."""
    return platformdirs.user_config_path("realtts", appauthor=False) / "realtts.toml"


def expanded(path: Path, who: str) -> Path:
    """Return the path with ``~`` replaced.

    Raises:
        SettingsError: There is no such user, or a character that no path can have.
    """
    try:
        absolute = path.expanduser()
    except RuntimeError:
        raise SettingsError(f"{str(path)!r} names no user's folder", who=who, fix="write the whole path") from None
    if "\0" in str(absolute):
        raise SettingsError(f"{str(path)!r} holds a NUL character", who=who, fix="correct the path")
    return absolute


def write_whole(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write beside, then rename: readers see the old file, the new one or none, never a part. The folder must exist.

    Args:
        path: The file.
        content: All of it.
        sync: Wait until it is on the disk, so that the same holds when the power fails.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """
    part = part_of(path)
    try:
        with part.open("wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
        if sync:
            sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def part_of(path: Path) -> Path:
    """Return a new name beside a file for its content while that is being written."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")


def sync_folder(folder: Path) -> None:
    """Have a folder's names written to the disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_private(folder: Path) -> None:
    """Make a folder that only this user can look into, or make it so.

    Raises:
        OSError: It cannot be made, or `check_private` refuses it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(folder)
    if os.name == "posix" and folder.stat().st_uid == os.getuid() and folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def check_private(folder: Path) -> None:
    """Refuse a folder whose files somebody else may have put there.

    Raises:
        PermissionError: It belongs to somebody else than this user or the administrator, or others may write into it.
        OSError: There is no such folder.
    """
    about = folder.stat()
    if os.name != "posix":
        return
    if about.st_uid not in {os.getuid(), 0}:
        raise PermissionError(f"{folder} belongs to another user")
    if about.st_mode & 0o022 and about.st_uid != os.getuid():
        raise PermissionError(f"others may write into {folder}")


def trim(folder: Path, suffixes: Collection[str], max_bytes: int, *, keep: Path | None = None) -> int:
    """Remove files until the folder is within its bound, those used longest ago first, and what dead writers left.

    Other processes may do the same at the same time.

    Args:
        folder: Need not exist.
        suffixes: Of the files that count; others are left alone.
        max_bytes: The bound.
        keep: A file that stays.

    Returns:
        How many files were removed for the bound.

    Raises:
        OSError: A file cannot be removed.
    """
    files: list[tuple[float, int, Path]] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):
            about = path.stat()
            if path.suffix in suffixes:
                files.append((about.st_mtime, about.st_size, path))
            elif path.suffix == PART and time.time() - about.st_mtime > _OLD_S:
                path.unlink()
    total, removed = sum(size for _, size, _ in files), 0
    for _, size, path in sorted(files):
        if total <= max_bytes:
            break
        if path != keep:
            path.unlink(missing_ok=True)
            total -= size
            removed += 1
    return removed
