"""What a fetch would do: the files, what of them is missing, and whether it fits."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.checkpoints import cache, records
from realtts.checkpoints.hub import Listing, RemoteFile, is_commit, is_offline, list_files
from realtts.checkpoints.local import names_in
from realtts.checkpoints.selection import choose, is_pattern, is_safe, matching, names_in_index
from realtts.checkpoints.transfer import Source, bring
from realtts.errors import CheckpointCorrupt, CheckpointMissing, DownloadFailed
from realtts.kit.shards import INDEX_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realtts.checkpoints.selection import Entry
    from realtts.contract.spec import Checkpoint

__all__ = ["DownloadPlan", "PlannedFile", "cached_names", "folder_of", "make_plan", "repo_and_revision"]

_log = logging.getLogger("realtts")


@dataclass(frozen=True)
class PlannedFile:
    """A file of a plan.

    Attributes:
        name: Path in the repository.
        size: Bytes; None when the hub does not say.
        missing: Bytes that are still to come; 0 when it is in the cache.
        cached: Whether it is in the cache, whole.
        digest: As in `RemoteFile`.
    """

    name: str
    size: int | None
    missing: int
    cached: bool
    digest: str = ""


@dataclass(frozen=True)
class DownloadPlan:
    """What a fetch would do.

    Attributes:
        name: The checkpoint.
        repo: Hub id.
        revision: As asked for.
        commit: What it stands for.
        licence: Of the weights; empty when nobody states it.
        files: What is used, in order.
        folder: Where the files will lie by their names.
        free_bytes: Room on the disk of the cache.
    """

    name: str
    repo: str
    revision: str
    commit: str
    licence: str
    files: tuple[PlannedFile, ...]
    folder: Path
    free_bytes: int

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size or 0 for file in self.files)

    @property
    def missing_bytes(self) -> int:
        """Bytes that are still to come."""
        return sum(file.missing for file in self.files)

    @property
    def complete(self) -> bool:
        """Whether every file is in the cache."""
        return all(file.cached for file in self.files)


@dataclass(frozen=True)
class _Target:
    """The checkpoint and the files that a fetch is for.

    Attributes:
        checkpoint: As given.
        entries: Its files.
        who: The checkpoint, for messages.
        repo: Hub id.
        revision: Branch, tag or commit.
    """

    checkpoint: Checkpoint
    entries: Sequence[Entry]
    who: str
    repo: str
    revision: str

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.repo} at revision {self.revision}"


def make_plan(checkpoint: Checkpoint, entries: Sequence[Entry], who: str) -> DownloadPlan:
    """Look into the cache, and ask the hub unless the cache has all of a pinned commit.

    An index of weights is downloaded here, because it says what else is needed.

    Raises:
        CheckpointError: See `realtts.checkpoints.fetch`.
    """
    target = _Target(checkpoint, entries, who, *repo_and_revision(checkpoint, who))
    repo, revision = target.repo, target.revision
    if is_commit(revision):
        names = cached_names(repo, revision, entries)
        if names is not None:
            return _from_cache(target, revision, names)
    if is_offline():
        return _offline(target)
    try:
        listing = list_files(repo, revision, who)
    except DownloadFailed as error:
        cached = _newest_known(target)
        if cached is None:
            raise
        _log.warning("%s: the hub cannot be asked, so the copy in the cache is used: %s", who, error.what)
        return _from_cache(target, *cached)
    cache.set_ref(repo, revision, listing.commit)
    return _from_listing(target, listing)


def repo_and_revision(checkpoint: Checkpoint, who: str) -> tuple[str, str]:
    """Return hub id and revision, ``main`` when none is pinned.

    Raises:
        CheckpointMissing: One of them cannot be.
    """
    repo, _, suffix = checkpoint.source.partition("@")
    revision = suffix or checkpoint.revision or "main"
    if repo.count("/") != 1 or not is_safe(repo) or not is_safe(revision):
        raise CheckpointMissing(
            f"{checkpoint.source!r} at revision {revision!r} is no hub id", who=who, fix="give owner/name@revision"
        )
    return repo, revision


def folder_of(checkpoint: Checkpoint) -> Path | None:
    """Return where a checkpoint's files lie, as far as that can be told without the network; some may be missing.

    Args:
        checkpoint: A file or folder of the user's own, or a repository of the hub.

    Returns:
        The folder, for a repository that of the commit which its revision was when it was last looked up. None: none
        of it was downloaded.
    """
    if checkpoint.path is not None:
        return checkpoint.path.parent if checkpoint.path.is_file() else checkpoint.path
    if not checkpoint.source:
        return None
    repo, revision = repo_and_revision(checkpoint, f"checkpoint {checkpoint.name!r}")
    commit = cache.commit_of(repo, revision)
    folder = cache.snapshot(repo, commit) if commit is not None else None
    return folder if folder is not None and folder.is_dir() else None


def cached_names(repo: str, commit: str, entries: Sequence[Entry], *, loosely: bool = False) -> list[str] | None:
    """Return the files for the entries if the cache has all of them, else None.

    Args:
        repo: Hub id.
        commit: At which commit.
        entries: What is wanted.
        loosely: Take what there is for alternatives and patterns, because the hub cannot be asked what it has.
    """
    folder = cache.snapshot(repo, commit)
    record = records.find(repo, commit, entries)
    if record is not None:
        return record.names if all(_is_file(folder / name) for name in record.names) else None
    if not loosely and any(is_pattern(entry[0] or "") for entry in entries):
        return None
    # Of several alternatives only the best is certain to be what the hub would give.
    alternatives = entries if loosely else [(entry[0],) for entry in entries]
    try:
        return names_in(folder, alternatives, repo)
    except (CheckpointMissing, CheckpointCorrupt):
        return None


def _newest_known(target: _Target) -> tuple[str, list[str]] | None:
    """Return the commit that the revision was last known to be, with its files, if the cache has all of them."""
    commit = cache.commit_of(target.repo, target.revision)
    names = cached_names(target.repo, commit, target.entries, loosely=True) if commit is not None else None
    return (commit, names) if commit is not None and names is not None else None


def _offline(target: _Target) -> DownloadPlan:
    cached = _newest_known(target)
    if cached is None:
        raise DownloadFailed(
            f"the cache has not all files of {target.where}, and HF_HUB_OFFLINE is set", who=target.who,
            fix="unset it and try again, or give a local folder as model=",
        )  # fmt: skip
    return _from_cache(target, *cached)


def _from_cache(target: _Target, commit: str, names: Sequence[str]) -> DownloadPlan:
    folder = cache.snapshot(target.repo, commit)
    files = tuple(PlannedFile(name, (folder / name).stat().st_size, 0, cached=True) for name in names)
    licence = next((record.licence for record in records.find_all() if record.commit == commit), "")
    return _plan(target, commit, files, licence)


def _from_listing(target: _Target, listing: Listing) -> DownloadPlan:
    def match(pattern: str) -> list[str]:
        return matching(pattern, listing.files)

    def chosen(entries: Sequence[Entry]) -> list[str]:
        return choose(entries, listing.files.__contains__, match, who=target.who, where=target.where)

    names = chosen(target.entries)
    source = Source(target.repo, listing.commit, target.who)
    for name in [name for name in names if name.endswith(INDEX_SUFFIX)]:
        parts = names_in_index(bring(source, listing.files[name]), name, target.who)
        names += chosen([(part,) for part in parts])
    files = tuple(_planned(target.repo, listing.commit, listing.files[name]) for name in dict.fromkeys(names))
    return _plan(target, listing.commit, files, listing.licence)


def _planned(repo: str, commit: str, file: RemoteFile) -> PlannedFile:
    path = cache.snapshot(repo, commit) / file.name
    if path.is_file():
        return PlannedFile(file.name, path.stat().st_size, 0, cached=True, digest=file.digest)
    blob = cache.repo_folder(repo) / "blobs" / (file.digest or "?")
    there = file.size if blob.is_file() else _size(blob.with_name(f"{blob.name}{cache.PARTIAL}"))
    return PlannedFile(file.name, file.size, max(0, (file.size or 0) - (there or 0)), cached=False, digest=file.digest)


def _plan(target: _Target, commit: str, files: tuple[PlannedFile, ...], licence: str) -> DownloadPlan:
    checkpoint = target.checkpoint
    return DownloadPlan(
        name=checkpoint.name, repo=target.repo, revision=target.revision, commit=commit,
        licence=checkpoint.licence or licence, files=files, folder=cache.snapshot(target.repo, commit),
        free_bytes=_free_bytes(cache.cache_dir()),
    )  # fmt: skip


def _free_bytes(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for a name that is too long


def _size(path: Path) -> int:
    return path.stat().st_size if _is_file(path) else 0
