"""`fetch`: the files of a checkpoint, wherever they come from."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.checkpoints import cache, records
from realtts.checkpoints.files import Files
from realtts.checkpoints.hub import RemoteFile, is_offline
from realtts.checkpoints.local import serve
from realtts.checkpoints.planning import DownloadPlan, make_plan
from realtts.checkpoints.selection import parse
from realtts.checkpoints.transfer import Source, bring, is_good
from realtts.contract.events import Event
from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointCorrupt, CheckpointMissing, NotEnoughDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.checkpoints.planning import PlannedFile
    from realtts.checkpoints.selection import Entry
    from realtts.contract.spec import WantedFile

    Report = Callable[[Event], None]

__all__ = ["fetch", "plan"]

_log = logging.getLogger("realtts")
_PROGRESS_S = 0.2


def fetch(
    checkpoint: Checkpoint | str | os.PathLike[str] | None,
    files: Sequence[WantedFile] | None = None,
    *,
    report: Report | None = None,
    verify: bool = False,
) -> Files:
    """Return the files that a plugin needs, downloaded if they are not on this machine yet.

    A local folder is served as it lies. For the hub the cache of `huggingface_hub` is used; when it has everything
    of a pinned commit, nothing is asked of the network. Downloads are resumed, checked against the hub's digests, and
    safe in several processes at once. No file is opened or unpickled here: loading a ``.pt`` runs whatever its author
    put into it, so prefer safetensors, and load the rest with ``weights_only=True``.

    Args:
        checkpoint: ``context.checkpoint``, or a hub id ``owner/name[@revision]``, or a local folder or file.
        files: What is needed: names, patterns (``*`` does not cross a ``/``), or tuples of alternatives, best first,
            where None as the last one lets the file be missing. A chosen name that ends in ``.index.json`` brings
            the parts that it lists. None: the checkpoint's own ``files``.
        report: Told of the download as events ``download.*``; usually ``context.report``.
        verify: Read every file of the cache again and replace what is damaged.

    Returns:
        Name in the repository or folder -> path.

    Raises:
        CheckpointMissing: No such repository or revision, or files are missing; all are named.
        CheckpointForbidden: The repository is gated or closed to the token in use.
        CheckpointCorrupt: What came is not what the hub announced; it was removed.
        DownloadFailed: The hub cannot be reached, or ``HF_HUB_OFFLINE`` is set; what arrived is kept.
        NotEnoughDisk: The files do not fit; found before the download.
        CheckpointError: `huggingface_hub` is not installed.
        InvalidPlugin: It is not said which files are needed, or wrongly.
    """
    chosen, entries, who = _asked(checkpoint, files)
    if chosen.path is not None:
        return serve(chosen.path, entries, who)
    planned = make_plan(chosen, entries, who)
    if verify and _drop_damaged(planned, who):
        planned = make_plan(chosen, entries, who)
    if not planned.complete:
        _download(planned, entries, who, report or (lambda _: None))
    records.save(_record(planned, entries))
    names = [file.name for file in planned.files]
    return Files({name: planned.folder / name for name in names}, source=planned.repo, revision=planned.commit)


def plan(
    checkpoint: Checkpoint | str | os.PathLike[str], files: Sequence[WantedFile] | None = None
) -> DownloadPlan | None:
    """Return what `fetch` would download; None for a local folder. Downloads nothing but an index of weights.

    Raises:
        CheckpointError: As `fetch`.
    """
    chosen, entries, who = _asked(checkpoint, files)
    return None if chosen.path is not None else make_plan(chosen, entries, who)


def _asked(
    checkpoint: Checkpoint | str | os.PathLike[str] | None, files: Sequence[WantedFile] | None
) -> tuple[Checkpoint, tuple[Entry, ...], str]:
    if checkpoint is None:
        raise CheckpointMissing(
            "no checkpoint was chosen", who="realtts.checkpoints",
            fix="list one in the plugin's spec, or give model=",
        )  # fmt: skip
    chosen = checkpoint if isinstance(checkpoint, Checkpoint) else _parsed(os.fspath(checkpoint))
    who = f"checkpoint {chosen.name!r}"
    entries = parse(chosen.files if files is None else files, who)
    if chosen.path is None and not chosen.source:
        raise CheckpointMissing("it has no source: its plugin carries the data itself", who=who, fix="fetch nothing")
    return chosen, entries, who


def _parsed(text: str) -> Checkpoint:
    path = Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for users that do not exist
    if os.path.exists(path):  # noqa: PTH110 - Path.exists raises for names that are too long
        return Checkpoint(name=path.name, path=path.absolute())
    source, _, revision = text.partition("@")
    return Checkpoint(name=text, source=source, revision=revision or None)


def _download(planned: DownloadPlan, entries: Sequence[Entry], who: str, report: Report) -> None:
    if planned.missing_bytes > planned.free_bytes:
        raise NotEnoughDisk(
            f"{planned.missing_bytes:,} bytes are to come, and {planned.free_bytes:,} are free in {cache.cache_dir()}",
            who=who, fix="free some space ('realtts models' lists what lies there), or let HF_HOME name another disk",
        )  # fmt: skip
    # Before the first byte, so that what an interrupted download leaves is known to be incomplete.
    records.save(_record(planned, entries))
    missing = [file for file in planned.files if not file.cached]
    _log.info(
        "downloading %s of %s (%d files, licence: %s) to %s", _size(planned.missing_bytes), planned.repo, len(missing),
        planned.licence or "not stated", cache.cache_dir(),
    )  # fmt: skip
    common = {"checkpoint": planned.name, "repo": planned.repo}
    started = time.monotonic()
    size = planned.missing_bytes
    report(Event("download.started", data={
        **common, "revision": planned.revision, "commit": planned.commit, "licence": planned.licence,
        "files": [file.name for file in missing], "bytes": size,
    }))  # fmt: skip
    source = Source(
        planned.repo, planned.commit, who,
        lambda name: report(Event("download.waiting", data={**common, "file": name})),
    )  # fmt: skip
    done = 0
    for file in missing:
        bring(source, RemoteFile(file.name, file.size, file.digest), _Progress(report, common, file, done, size))
        done += file.missing
        report(Event("download.progress", data={**common, "file": file.name, "done_bytes": done, "bytes": size}))
    seconds = round(time.monotonic() - started, 3)
    report(Event("download.finished", data={**common, "bytes": size, "seconds": seconds}))


class _Progress:
    """Tells how much has arrived, a few times a second.

    Args:
        report: Whom.
        common: Data of every event.
        file: What arrives.
        before: Bytes of the files before it.
        size: Bytes of the whole download.
    """

    def __init__(self, report: Report, common: dict[str, str], file: PlannedFile, before: int, size: int) -> None:
        self._report, self._common, self._file, self._before, self._size = report, common, file, before, size
        self._reported_at = time.monotonic()
        self._done = before

    def __call__(self, arrived: int) -> None:
        now = time.monotonic()
        if now - self._reported_at < _PROGRESS_S:
            return
        self._reported_at = now
        resumed = (self._file.size or 0) - self._file.missing  # by an earlier try
        done = self._before + max(0, min(arrived - resumed, self._file.missing))
        self._done = max(self._done, done)  # a file that is begun anew takes nothing back
        data = {**self._common, "file": self._file.name, "done_bytes": self._done, "bytes": self._size}
        self._report(Event("download.progress", data=data))


def _drop_damaged(planned: DownloadPlan, who: str) -> bool:
    """Take damaged files out of the cache; tell whether there were any."""
    damaged = [file.name for file in planned.files if file.cached and not is_good(planned.folder / file.name)]
    if not damaged:
        return False
    if is_offline():
        raise CheckpointCorrupt(
            f"{', '.join(damaged)} damaged in {planned.folder}", who=who,
            fix="unset HF_HUB_OFFLINE and try again: they will be fetched anew",
        )  # fmt: skip
    _log.warning("%s: damaged in the cache, fetched anew: %s", who, ", ".join(damaged))
    cache.delete(planned.repo, planned.commit, damaged)
    return True


def _record(planned: DownloadPlan, entries: Sequence[Entry]) -> records.Record:
    return records.Record(
        repo=planned.repo, revision=planned.revision, commit=planned.commit, wanted=[list(entry) for entry in entries],
        names=[file.name for file in planned.files], licence=planned.licence, size_bytes=planned.size_bytes,
    )  # fmt: skip


def _size(count: int) -> str:
    return f"{count / (1 << 20):,.1f} MiB"
