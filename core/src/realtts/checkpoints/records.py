"""What realtts has fetched: one small file each in its data folder, so that files once chosen need no network.

The hub's cache does not say which of a repository's files were wanted, nor when they were last used. A record that
is missing, damaged or cannot be written costs a request to the hub and nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from realtts.checkpoints.selection import is_safe
from realtts.folders import write_whole
from realtts.settings_sources import data_dir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realtts.checkpoints.selection import Entry

__all__ = ["Record", "find", "find_all", "forget", "save"]

_LAST_S = 2.0**36
"""Beyond the year 4000: no time when anything was used."""


@dataclass(frozen=True)
class Record:
    """One fetch.

    Attributes:
        repo: Hub id.
        revision: As it was asked for.
        commit: What it stood for.
        wanted: The entries as they were asked for.
        names: Files that were chosen for them.
        licence: As stated by the spec or by the hub; empty when unknown.
        size_bytes: Of all files.
        used: Seconds since the epoch when it was last fetched or found.
    """

    repo: str
    revision: str
    commit: str
    wanted: list[list[str | None]]
    names: list[str]
    licence: str = ""
    size_bytes: int = 0
    used: float = field(default_factory=time.time)


def save(record: Record) -> None:
    """Write a record, in the place of an older one of the same files."""
    path = _path(record.repo, record.commit, record.wanted)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(record)).encode())


def find(repo: str, commit: str, entries: Sequence[Entry]) -> Record | None:
    """Return the record of these entries, if they were ever fetched at this commit."""
    return _read(_path(repo, commit, [list(entry) for entry in entries]))


def find_all() -> list[Record]:
    """Return every record, by repository."""
    loaded = (_read(path) for path in sorted(_folder().glob("*.json")))
    return sorted((record for record in loaded if record is not None), key=lambda record: (record.repo, -record.used))


def forget(record: Record) -> None:
    """Remove a record."""
    with contextlib.suppress(OSError):
        _path(record.repo, record.commit, record.wanted).unlink(missing_ok=True)


def _folder() -> Path:
    return data_dir() / "checkpoints"


def _path(repo: str, commit: str, entries: object) -> Path:
    digest = hashlib.blake2b(json.dumps([repo, commit, entries]).encode(), digest_size=12).hexdigest()
    return _folder() / f"{digest}.json"


def _read(path: Path) -> Record | None:
    try:
        record = _adapter().validate_json(path.read_bytes(), strict=True)
    except (OSError, ValueError):
        return None
    # A name that leads out of its folder might be deleted there.
    return record if all(map(is_safe, record.names)) and 0 <= record.used < _LAST_S else None


@functools.cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)
