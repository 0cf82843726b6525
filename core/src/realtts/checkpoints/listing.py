"""The inventory: checkpoints of every installed provider, and what else realtts has fetched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from realtts.checkpoints import cache, records
from realtts.checkpoints.planning import cached_names, repo_and_revision
from realtts.checkpoints.selection import parse
from realtts.errors import CheckpointMissing, InvalidPlugin
from realtts.registry import providers as registry
from realtts.registry.places import places
from realtts.settings_sources import resolve_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realtts.checkpoints.selection import Entry
    from realtts.contract.spec import Checkpoint, ProviderSpec

__all__ = ["Kept", "inventory", "remove"]


@dataclass(frozen=True)
class Kept:
    """A checkpoint as it lies in the cache.

    Attributes:
        provider: Whose it is; empty for what was fetched by its hub id.
        name: What users pass as ``model=``.
        repo: Hub id.
        revision: As pinned or asked for.
        commit: What it stands for; None when it was never asked for.
        licence: Empty when unknown.
        state: ``"complete"``, ``"partial"``, ``"absent"``, or ``"unknown"`` where files lie but the plugin's spec
            does not say which it needs.
        size_bytes: On disk now, what arrived of unfinished files included.
        names: The files that are there.
        folder: Where they lie by their names; None when nothing does.
        used: Seconds since the epoch when realtts last used it; None when it never did.
        wanted: What the spec says that it needs; None when it does not say.
    """

    provider: str
    name: str
    repo: str
    revision: str
    commit: str | None
    licence: str
    state: str
    size_bytes: int
    names: tuple[str, ...]
    folder: Path | None
    used: float | None
    wanted: tuple[Entry, ...] | None = None


def inventory() -> list[Kept]:
    """List the checkpoints of all providers, isolated ones too, then what else was fetched. Reads only the disk."""
    named = [_kept(spec, checkpoint) for spec, checkpoint in _named()]
    commits = {(checkpoint.repo, checkpoint.commit) for checkpoint in named}
    unnamed: dict[tuple[str, str], Kept] = {}
    for record in records.find_all():
        if (record.repo, record.commit) not in commits and (record.repo, record.revision) not in unnamed:
            name = record.repo if record.revision == "main" else f"{record.repo}@{record.revision}"
            bare = replace(_bare("", name, record.repo, record.licence), revision=record.revision, commit=record.commit)
            unnamed[record.repo, record.revision] = _looked_at(bare)
    return [*named, *(checkpoint for checkpoint in unnamed.values() if checkpoint.size_bytes)]


def remove(checkpoint: Kept) -> int:
    """Take a checkpoint out of the cache, but for files that another one of the inventory shares with it.

    Other programs that use the same cache lose these files too, and fetch them again when they need them. What a
    running download has brought so far stays.

    Returns:
        Bytes that became free.
    """
    repo, commit = checkpoint.repo, checkpoint.commit
    same = [other for other in inventory() if other.repo == repo and other != checkpoint]
    # A file of it is no sign that another checkpoint was ever wanted.
    needed = [other for other in same if other.commit == commit and (other.state == "complete" or other.used)]
    keep = {name for other in needed for name in other.names}
    freed = cache.delete(repo, commit, checkpoint.names, keep=keep) if commit is not None else 0
    if not any(other.state == "partial" and other.used for other in same):
        freed += cache.discard_partials(repo)
        cache.prune(repo)
    for record in _records(repo, commit, checkpoint.wanted):
        records.forget(record)
    return freed


def _named() -> Iterator[tuple[str, Checkpoint]]:
    for name, spec in sorted(_specs().items()):
        for checkpoint in spec.checkpoints:
            if checkpoint.source:
                yield name, checkpoint


def _specs() -> dict[str, ProviderSpec]:
    """Return the usable providers that are installed here or in environments of their own."""
    settings = resolve_settings().settings
    elsewhere = {name: spec for place in places() for name, spec in place.specs(settings).items()}
    return elsewhere | {entry.name: entry.spec for entry in registry.installed() if entry.spec is not None}


def _kept(provider: str, checkpoint: Checkpoint) -> Kept:
    bare = _bare(provider, checkpoint.name, checkpoint.source, checkpoint.licence)
    try:
        repo, revision = repo_and_revision(checkpoint, checkpoint.name)
        entries = parse(checkpoint.files, checkpoint.name) if checkpoint.files else None
    except (CheckpointMissing, InvalidPlugin):  # a spec at fault; the download says what is wrong
        return bare
    commit = cache.commit_of(repo, revision)
    return _looked_at(replace(bare, repo=repo, revision=revision, commit=commit, wanted=entries))


def _bare(provider: str, name: str, repo: str, licence: str) -> Kept:
    return Kept(
        provider=provider, name=name, repo=repo, revision="", commit=None, licence=licence, state="absent",
        size_bytes=0, names=(), folder=None, used=None,
    )  # fmt: skip


def _looked_at(checkpoint: Kept) -> Kept:
    """Add what is on the disk of a checkpoint."""
    repo, commit, entries = checkpoint.repo, checkpoint.commit, checkpoint.wanted
    mine = _records(repo, commit, entries)
    whole = _whole(repo, commit, entries, mine)
    names = tuple(whole) if whole is not None else tuple(_there(repo, commit, entries, mine))
    folder = cache.snapshot(repo, commit) if commit is not None else None
    started = sum(path.stat().st_size for path in cache.partials(repo)) if whole is None and mine else 0
    size = started + (sum((folder / name).stat().st_size for name in names) if folder is not None else 0)
    unknown = whole is None and entries is None and not mine
    return replace(
        checkpoint, licence=checkpoint.licence or next((record.licence for record in mine), ""),
        state="complete" if whole is not None else "absent" if not size else "unknown" if unknown else "partial",
        size_bytes=size, names=names, folder=folder if names else None,
        used=max((record.used for record in mine), default=None),
    )  # fmt: skip


def _records(repo: str, commit: str | None, entries: Sequence[Entry] | None = None) -> list[records.Record]:
    lists = None if entries is None else [list(entry) for entry in entries]
    return [
        record for record in records.find_all()
        if (record.repo, record.commit) == (repo, commit) and lists in (None, record.wanted)
    ]  # fmt: skip


def _whole(
    repo: str, commit: str | None, entries: Sequence[Entry] | None, mine: Sequence[records.Record]
) -> list[str] | None:
    """Return the names of all files; None when some are missing or it is not known which are needed."""
    if commit is None:
        return None
    if entries is not None:
        return cached_names(repo, commit, entries, loosely=True)
    names = list(dict.fromkeys(name for record in mine for name in record.names))
    return names if names and all((cache.snapshot(repo, commit) / name).is_file() for name in names) else None


def _there(repo: str, commit: str | None, entries: Sequence[Entry] | None, mine: Sequence[records.Record]) -> list[str]:
    """Return the names of the files that are there, of a checkpoint that is not complete."""
    if commit is None:
        return []
    folder = cache.snapshot(repo, commit)
    if mine:
        names = [name for record in mine for name in record.names]
    elif entries is not None:
        names = [path.relative_to(folder).as_posix() for entry in entries for name in entry if name
                 for path in folder.glob(name)]  # fmt: skip
    else:
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*"))]
    return [name for name in dict.fromkeys(names) if (folder / name).is_file()]
