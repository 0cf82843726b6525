"""One key of the user's ``realtts.toml``, set or removed, with every other character of the file as it was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import tomlkit

from realtts.documents import DocumentError, parse_toml
from realtts.errors import SettingsError
from realtts.folders import config_files, expanded, user_config_file, write_whole

__all__ = ["change_setting", "file_to_change"]

_MARK = "\ufeff"
"""What some editors write before everything else."""


def file_to_change() -> Path:
    """Return the user's settings file: that of ``REALTTS_CONFIG``, else the one in the configuration folder.

    Raises:
        SettingsError: ``REALTTS_CONFIG`` names no file.
    """
    if variable := os.environ.get("REALTTS_CONFIG"):
        config_files(os.environ)
        return expanded(Path(variable), "REALTTS_CONFIG")
    return user_config_file()


def change_setting(path: Path, key: str, value: str | None) -> bool:
    """Set or remove a key of the top level.

    Args:
        path: The file; it is made when it is missing.
        key: A bare key.
        value: What to write; None removes the key.

    Returns:
        Whether the file was changed.

    Raises:
        SettingsError: The file cannot be read or written, or has a form that cannot be changed safely.
    """
    whole = _read(path)
    before = whole.removeprefix(_MARK)
    content = _parse(before, path)
    if content.get(key) == value:
        return False
    if isinstance(content.get(key), dict):
        raise SettingsError(f"{key} is a table in it", who=str(path), fix=f"remove that table by hand: {key} is a name")
    after = _edited(before, key, value)
    expected = {name: other for name, other in content.items() if name != key}
    if value is not None:
        expected[key] = value
    # Whatever the form of the file, what it says of everything else must be the same.
    if _parse(after, path) != expected:
        raise SettingsError(f"{key} stands in it in a form of its own", who=str(path), fix=f"change {key} by hand")
    _write(path, whole[: len(whole) - len(before)] + after)
    return True


def _read(path: Path) -> str:
    try:
        # As bytes, so that line ends stay what they are.
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", who=str(path), fix="correct the file or remove it") from None


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        content = parse_toml(text)
    except DocumentError as error:
        raise SettingsError(f"cannot be read: {error}", who=str(path), fix="correct the file or remove it") from None
    return content


def _edited(text: str, key: str, value: str | None) -> str:
    document = tomlkit.parse(text)
    if value is None:
        del document[key]
    else:
        document[key] = value
    return tomlkit.dumps(document)


def _write(path: Path, text: str) -> None:
    try:
        place = Path(os.path.realpath(path))  # a link stays one
        if not text.strip() and place.exists():
            place.unlink()
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        mode = place.stat().st_mode if place.exists() else None
        write_whole(place, text.encode("utf-8"))
        if mode is not None:
            place.chmod(mode & 0o7777)
    except OSError as error:
        raise SettingsError(
            f"cannot be written: {error.strerror or error}", who=str(path), fix="make it writable, or edit it by hand"
        ) from error
