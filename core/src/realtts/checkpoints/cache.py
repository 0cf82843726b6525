"""The hub library's own cache on disk: where it is, what lies in it, and taking files out of it.

Its layout is documented and shared with every tool that uses the hub: ``models--owner--name/`` with ``blobs/`` by
digest, ``snapshots/<commit>/`` whose entries point to blobs, and ``refs/`` from branches to commits.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.checkpoints.hub import is_commit
from realtts.folders import write_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = [
    "PARTIAL",
    "blob_of",
    "cache_dir",
    "commit_of",
    "delete",
    "discard_partials",
    "filelock",
    "lock_of",
    "partials",
    "prune",
    "repo_folder",
    "set_ref",
    "snapshot",
]

PARTIAL = ".realtts.incomplete"
"""Behind a blob's name: what has arrived of it so far."""


def cache_dir() -> Path:
    """Return the cache's folder by the hub library's variables, which are read now: the library reads them once."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := os.environ.get(name):
            return _folder(value)
    if home := os.environ.get("HF_HOME"):
        return _folder(home) / "hub"
    return _folder(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def repo_folder(repo: str) -> Path:
    """Return the folder of a model repository."""
    return cache_dir() / f"models--{repo.replace('/', '--')}"


def snapshot(repo: str, commit: str) -> Path:
    """Return the folder that holds the files of a commit by their names."""
    return repo_folder(repo) / "snapshots" / commit


def commit_of(repo: str, revision: str) -> str | None:
    """Return the commit that a revision stood for when it was last looked up; None if it never was."""
    if is_commit(revision):
        return revision
    try:
        commit = (repo_folder(repo) / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return commit if is_commit(commit) else None


def set_ref(repo: str, revision: str, commit: str) -> None:
    """Remember what a branch or tag stands for, for when there is no network."""
    if is_commit(revision) or commit_of(repo, revision) == commit:
        return
    path = repo_folder(repo) / "refs" / revision
    with contextlib.suppress(OSError):  # a cache that may only be read
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, commit.encode())


def partials(repo: str) -> list[Path]:
    """Return downloads of ours that were interrupted."""
    return sorted((repo_folder(repo) / "blobs").glob(f"*{PARTIAL}"))


def lock_of(repo: str, etag: str) -> Any:
    """Return the lock of one file's download, not yet taken; the writer of its partial file holds it."""
    path = cache_dir() / ".locks" / repo_folder(repo).name / f"{etag}.realtts.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return filelock().FileLock(str(path))


def filelock() -> Any:
    """Import a package that the hub's library needs too."""
    return importlib.import_module("filelock")


def discard_partials(repo: str) -> int:
    """Remove what interrupted downloads of a repository left; those that are running are left alone.

    Returns:
        Bytes that became free.
    """
    freed = 0
    for path in partials(repo):
        lock = lock_of(repo, path.name.removesuffix(PARTIAL))
        try:
            lock.acquire(timeout=0)
        except filelock().Timeout:
            continue
        try:
            freed += path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            pass  # it was finished meanwhile
        finally:
            lock.release()
    return freed


def delete(repo: str, commit: str, names: Iterable[str], *, keep: Collection[str] = ()) -> int:
    """Take files out of the cache: their names, and the blobs that no other name of the repository points to.

    Args:
        repo: Hub id.
        commit: Whose files.
        names: Which ones.
        keep: Names of the same commit that somebody else needs.

    Returns:
        Bytes that became free.
    """
    folder = snapshot(repo, commit)
    freed = 0
    for name in names:
        path = folder / name
        if name in keep or not path.is_file():
            continue
        blob, size = blob_of(path), path.stat().st_size
        path.unlink()
        if blob == path:  # where links cannot be made, the library puts the file itself there
            freed += size
        elif blob.parent == repo_folder(repo).absolute() / "blobs" and blob not in _targets(repo):
            blob.unlink(missing_ok=True)
            freed += size
    prune(repo)
    return freed


def blob_of(path: Path) -> Path:
    """Follow a snapshot's link by one step only: a blob may itself be a link into a shared store."""
    if not path.is_symlink():
        return path
    return Path(os.path.abspath(path.parent / os.readlink(path)))  # noqa: PTH100, PTH115 - resolve() goes all the way


def _targets(repo: str) -> set[Path]:
    """Return the blobs that files of any commit point to."""
    return {blob_of(path) for path in _files_under(repo_folder(repo) / "snapshots")}


def _files_under(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root) / name for name in names)


def prune(repo: str) -> None:
    """Remove folders that became empty, and references to commits that are gone."""
    root = repo_folder(repo)
    _remove_empty(root / "snapshots")
    for path in list(_files_under(root / "refs")):
        commit = commit_of(repo, path.relative_to(root / "refs").as_posix())
        if commit is not None and not snapshot(repo, commit).exists():
            path.unlink(missing_ok=True)
    if not any((root / "snapshots").glob("*")):
        # Marks of files that the repository lacks; nothing else is left that means anything.
        for path in list(_files_under(root / ".no_exist")):
            path.unlink(missing_ok=True)
    _remove_empty(root)


def _remove_empty(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):  # it is not empty
            os.rmdir(path)  # noqa: PTH106 - os.walk gives strings


def _folder(value: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(value)))  # noqa: PTH111 - as the library does it
