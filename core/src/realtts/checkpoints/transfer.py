"""One file from the hub into its cache: resumed where an earlier try ended, and checked before anybody sees it.

The library's own download keeps nothing of a file that was interrupted (since 1.x every process writes to a file of
its own) and compares sizes only. Here the bytes go to one partial file per blob, under a lock, and become a blob once
their digest is right; then the library puts the name in the snapshot, as for any blob that it finds. Plain HTTP is
used rather than Xet, whose transfers cannot be resumed by another process.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from realtts.checkpoints.cache import PARTIAL, blob_of, cache_dir, filelock, lock_of, repo_folder, snapshot
from realtts.checkpoints.hub import endpoint, library, raise_ours
from realtts.errors import CheckpointCorrupt, NotEnoughDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realtts.checkpoints.hub import RemoteFile

__all__ = ["Source", "bring", "is_good"]

_log = logging.getLogger("realtts")
_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ETAG = re.compile(r"[\w.-]{1,128}")
_IDLE_TRIES = 4
_PAUSE_S = 0.5
_READ = 1 << 16
_BLOCK = 1 << 20
_WAIT_S = 1.0
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class Source:
    """A repository at one commit, as `bring` needs it.

    Args:
        repo: Hub id.
        commit: Whole commit.
        who: The checkpoint, for messages.
        waiting: Called once when another process is busy with the same file.
    """

    def __init__(self, repo: str, commit: str, who: str, waiting: Callable[[str], None] | None = None) -> None:
        self.repo = repo
        self.commit = commit
        self.who = who
        self.waiting = waiting or (lambda _: None)

    def path(self, name: str) -> Path:
        """Return the path of a file once it is there."""
        return snapshot(self.repo, self.commit) / name


def bring(source: Source, file: RemoteFile, arrived: Callable[[int], None] | None = None) -> Path:
    """Return the path of a file in the cache, downloaded if it is not there.

    Args:
        source: Where from.
        file: Which one.
        arrived: Called with the bytes of the file that are on the disk so far.

    Raises:
        CheckpointMissing: The hub has no such file.
        CheckpointForbidden: It is closed to us.
        CheckpointCorrupt: It is not what the hub announced, twice.
        DownloadFailed: The connection was cut for good; what arrived is kept.
        NotEnoughDisk: The disk became full.
    """
    path = source.path(file.name)
    if path.is_file():
        return path
    metadata = _Metadata(source, file)
    blob = repo_folder(source.repo) / "blobs" / metadata.etag
    if not blob.is_file():
        with _locked(source, metadata.etag, file.name):
            if not blob.is_file():  # the other process may have brought it
                _fill(metadata, blob, arrived or (lambda _: None))
    return _name(source, file, path, blob)


class _Metadata:
    """A file's address, size and digest, from a HEAD request."""

    def __init__(self, source: Source, file: RemoteFile) -> None:
        hub = library()
        self.source, self.name = source, file.name
        url = hub.hf_hub_url(source.repo, file.name, revision=source.commit, endpoint=endpoint())
        self.headers: dict[str, str] = library(".utils").build_hf_headers(library_name="realtts")
        try:
            head = hub.get_hf_file_metadata(url, headers=dict(self.headers), endpoint=endpoint())
        except Exception as error:
            raise_ours(error, who=source.who, repo=source.repo, revision=source.commit, file=file.name)
        # Not `found.location`: that address of the store is signed for an hour, and a resumed download may be later.
        self.url: str = url
        self.etag: str = head.etag or ""
        if not _ETAG.fullmatch(self.etag) or not self.etag.strip("."):
            raise CheckpointCorrupt(
                f"the hub gives {file.name} the digest {self.etag!r}", who=source.who,
                fix="check HF_ENDPOINT: this is no hub",
            )  # fmt: skip
        self.size: int | None = head.size if head.size is not None else file.size
        self.digest = self.etag if _HEX.fullmatch(self.etag) else file.digest


def _fill(metadata: _Metadata, blob: Path, arrived: Callable[[int], None]) -> None:
    """Download the blob, whole and checked."""
    partial = blob.with_name(f"{blob.name}{PARTIAL}")
    resumed = _size(partial) > 0
    while True:
        _transfer(metadata, partial, arrived)
        if _is_right(partial, metadata.size, metadata.digest):
            partial.replace(blob)
            return
        partial.unlink(missing_ok=True)
        if not resumed:
            raise CheckpointCorrupt(
                f"{metadata.name} is not what the hub announced (size {metadata.size}, digest "
                f"{metadata.digest[:12]}...); it was removed", who=metadata.source.who,
                fix="try again; if it happens again, a proxy or the disk spoils the data",
            )  # fmt: skip
        _log.warning("%s: the beginning of %s was spoilt, it is fetched anew", metadata.source.who, metadata.name)
        resumed = False


def _transfer(metadata: _Metadata, partial: Path, arrived: Callable[[int], None]) -> None:
    """Download until all bytes are there; retry after a cut as long as tries bring more than was there before."""
    idle = longest = 0
    while not _is_all(partial, metadata.size):
        begin = _size(partial)
        if metadata.size is None or begin > metadata.size:  # nothing to measure it by
            partial.unlink(missing_ok=True)
            begin = 0
        longest = max(longest, begin)
        arrived(begin)
        cut: Exception | None = None
        try:
            _stream(metadata, partial, begin, arrived)
        except Exception as error:
            _raise_if_final(error, metadata)
            cut = error
        if cut is None and (metadata.size is None or _size(partial) >= metadata.size):
            return
        idle = 0 if _size(partial) > longest else idle + 1
        longest = max(longest, _size(partial))
        if idle >= _IDLE_TRIES:
            _raise(cut or EOFError("the answer ends too early"), metadata)
        time.sleep(_PAUSE_S * idle)


def _is_all(partial: Path, size: int | None) -> bool:
    return size is not None and partial.is_file() and _size(partial) == size


def _stream(metadata: _Metadata, partial: Path, begin: int, arrived: Callable[[int], None]) -> None:
    """Append the bytes of one request.

    Not by the library's `http_get`: it hands out blocks of 10 MB, and what is short of one is lost when the connection
    is cut.
    """
    headers = {**metadata.headers, "Accept-Encoding": "identity"}  # whose bytes are counted and hashed
    if begin:
        headers["Range"] = f"bytes={begin}-"
    with _opened(metadata.url, headers) as (response, blocks):
        library(".utils").hf_raise_for_status(response)
        resumed = begin > 0 and response.status_code == 206
        partial.parent.mkdir(parents=True, exist_ok=True)  # whoever empties the cache takes the folder too
        with partial.open("ab" if resumed else "wb") as file:
            for block in blocks:
                file.write(block)
                arrived(file.tell())


@contextlib.contextmanager
def _opened(url: str, headers: dict[str, str]) -> Iterator[tuple[Any, Iterator[bytes]]]:
    """Send a GET by the library's own session; return the response and its body block by block.

    On the way to the store's host the session drops the hub's token.
    """
    session = library(".utils").get_session()
    timeout = library(".constants").HF_HUB_DOWNLOAD_TIMEOUT
    if callable(session.stream):  # httpx and its successors, since 1.0; a flag in requests
        with session.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as response:
            yield response, response.iter_bytes()
    else:
        with session.get(url, headers=headers, timeout=timeout, stream=True) as response:
            yield response, response.iter_content(_READ)


def _raise_if_final(error: Exception, metadata: _Metadata) -> None:
    """Raise what another try would not mend."""
    source = metadata.source
    if isinstance(error, OSError) and error.errno in _FULL:
        raise NotEnoughDisk(
            f"the disk became full while {metadata.name} arrived", who=source.who,
            fix=f"free some space on the disk of {cache_dir()}, then try again: what arrived is kept",
        ) from error  # fmt: skip
    status = getattr(getattr(error, "response", None), "status_code", None)
    local = isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
    if local or (status is not None and status < 500 and status not in {408, 429}):
        _raise(error, metadata)


def _raise(error: Exception, metadata: _Metadata) -> NoReturn:
    source = metadata.source
    raise_ours(error, who=source.who, repo=source.repo, revision=source.commit, file=metadata.name)


def _name(source: Source, file: RemoteFile, path: Path, blob: Path) -> Path:
    """Link the blob into the snapshot, by the library."""
    try:
        downloaded = library().hf_hub_download(
            source.repo, file.name, revision=source.commit, cache_dir=cache_dir(), endpoint=endpoint()
        )
    except Exception as error:
        raise_ours(error, who=source.who, repo=source.repo, revision=source.commit, file=file.name)
    if not path.is_symlink() and path.is_file() and not path.samefile(blob):
        blob.unlink(missing_ok=True)  # where links cannot be made the library copies, and one copy is enough
    return Path(downloaded)


def is_good(path: Path) -> bool:
    """Tell whether a cached file still has the digest that its blob is named after; True where it has no such name."""
    name = blob_of(path).name
    return _is_right(path, None, name if _HEX.fullmatch(name) else "")


def _is_right(path: Path, size: int | None, digest: str) -> bool:
    if not path.is_file():  # somebody emptied the cache meanwhile
        return False
    actual = path.stat().st_size
    if size is not None and actual != size:
        return False
    if not _HEX.fullmatch(digest):
        return True
    # Git's digest of a small file covers a header too.
    state = hashlib.sha256() if len(digest) == 64 else hashlib.sha1(b"blob %d\0" % actual, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return state.hexdigest() == digest


@contextlib.contextmanager
def _locked(source: Source, etag: str, name: str) -> Iterator[None]:
    """Hold the file's lock: one process downloads, the others wait; the system frees it when a holder dies."""
    lock = lock_of(source.repo, etag)
    reported = False
    while True:
        try:
            lock.acquire(timeout=_WAIT_S)
            break
        except filelock().Timeout:
            if not reported:
                reported = True
                source.waiting(name)
    try:
        yield
    finally:
        lock.release()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
