"""Folders and files of the user. Imports nothing heavy."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from realtts.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PART", "cache_folder", "config_files", "data_folder", "expanded", "user_config_file", "write_whole"]

PART = ".part"
"""Suffix of a file that is being written."""


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


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, then rename: readers see the old file, the new one or none, never a part. The folder must exist.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        part.write_bytes(content)
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
