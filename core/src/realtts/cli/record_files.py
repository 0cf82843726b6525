"""Records of measurements as one line of JSON, printed or written into a file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["check_record_file", "print_record", "write_record"]


def print_record(record: Mapping[str, Any]) -> None:
    """Print a record on standard output."""
    console.out(json.dumps(record))


def check_record_file(path: Path) -> None:
    """Check, before anything is measured, that a record can be written there.

    Raises:
        OutputError: It cannot.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OutputError("there is no such folder", who=str(path.parent), fix="create it first")
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise OutputError("it cannot be written", who=str(path), fix="give a file that can be written")


def write_record(record: Mapping[str, Any], path: Path) -> None:
    """Write a record, and say so.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(str(error), who=str(path), fix="give a file that can be written") from error
    console.err(f"wrote {path}")
