"""What a job is: a table, a folder, who speaks and how; and what came of it."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.audio.formats import by_name
from realtts.bulk.manifest import LOG, MANIFEST
from realtts.bulk.speaking import Defaults
from realtts.documents import DocumentError, read_json_table
from realtts.errors import InvalidOption, OutputError
from realtts.folders import PART, write_whole
from realtts.synthesis.validate import check_seed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CAPTIONS", "JOB", "BulkJob", "Summary", "open_folder"]

JOB = "job.json"
CAPTIONS = ("srt", "vtt")
_MOST_WORKERS = 256
_log = logging.getLogger("realtts.bulk")


@dataclass(frozen=True)
class BulkJob:
    """A table of texts to be spoken into a folder.

    Attributes:
        source: Table, as `read_rows` reads it.
        folder: Where the audio, ``manifest.jsonl``, ``log.jsonl`` and ``job.json`` go; made where it is missing.
        provider: Name of the provider; None: the default one.
        model: Checkpoint name, hub id or local folder.
        settings: Further settings of the provider, such as ``device``.
        defaults: What holds for rows that do not say otherwise.
        seed: From which each row's seed is derived, together with its id; None: drawn, and kept in the folder.
        format: Of the audio files.
        captions: ``"srt"`` or ``"vtt"`` files beside the audio; None: none.
        workers: Processes with a model each, which speak a row at a time; 1: this process alone.
        ray: Address of a Ray cluster whose workers speak, ``"auto"`` for the one that this machine belongs to,
            ``"local"`` for one that is begun here; None: this machine speaks. Needs realtts-ray.
        worker_gpus: GPUs of each worker of a cluster.
        concurrency: Rows that the model of this process is given at a time; None: the setting ``max_batch``, else 8.
        resume: Go on with what the folder holds.
        chapters: The source is a book, and each row one of its chapters, see `read_chapters`. Where PyAV or ffmpeg
            is installed, one M4B file with marks at the chapters is written too.
    """

    source: str | os.PathLike[str]
    folder: str | os.PathLike[str]
    provider: str | None = None
    model: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    defaults: Defaults = field(default_factory=Defaults)
    seed: int | None = None
    format: str = "wav"
    captions: str | None = None
    workers: int = 1
    ray: str | None = None
    worker_gpus: float = 0.0
    concurrency: int | None = None
    resume: bool = False
    chapters: bool = False

    def check(self) -> None:
        """Check what can be checked without a provider.

        Raises:
            InputError: A value is wrong.
        """
        by_name(self.format)
        if self.seed is not None:
            check_seed(self.seed, "realtts batch")
        _check_count(self.workers, "workers")
        if self.concurrency is not None:
            _check_count(self.concurrency, "concurrency")
            if self.workers > 1 and self.ray is None:
                what = "it holds for one process, and workers are given too"
                raise InvalidOption(what, who="concurrency", fix="leave one of them out")
        if self.worker_gpus and self.ray is None:
            fix = "give the address of a cluster too (ray), or leave it out"
            raise InvalidOption("it holds for the workers of a cluster alone", who="worker_gpus", fix=fix)
        if self.captions not in (None, *CAPTIONS):
            fix = f"choose one of {', '.join(CAPTIONS)}"
            raise InvalidOption(f"{self.captions!r:.40} is no kind of captions", who="captions", fix=fix)


@dataclass(frozen=True)
class Summary:
    """What came of a job.

    Attributes:
        rows: All of the table.
        spoken: Rows with audio.
        earlier: Those of them that were spoken before the job went on.
        failed: Rows with an error.
        audio_s: Seconds of audio of all rows.
        seconds: Time that it took now.
        seed: The job's.
        folder: Where everything lies.
        audiobook: The file of all chapters; None: none was written.
    """

    rows: int
    spoken: int
    earlier: int
    failed: int
    audio_s: float
    seconds: float
    seed: int
    folder: Path
    audiobook: Path | None = None


@contextlib.contextmanager
def open_folder(job: BulkJob) -> Iterator[tuple[Path, int]]:
    """Hold the job's folder for this process alone; yield it with the job's seed.

    Raises:
        OutputError: It cannot be made, another process works in it, or it holds a job and ``resume`` is not set.
        InvalidOption: The seed is another one than that of the job to be resumed.
    """
    folder = Path(job.folder)
    made = _make(folder)
    with _locked(folder):  # whoever does not get it removes nothing: the folder is another's
        try:
            yield folder, _seed(job, folder)
        except BaseException:
            if made:
                _remove_if_nothing_was_spoken(folder)
            raise


def _make(folder: Path) -> bool:
    made = not os.path.lexists(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else getattr(error, "strerror", None) or error
        who = str(folder).replace("\0", "\\0")
        raise OutputError(f"the folder cannot be made: {reason}", who=who, fix="choose another one") from error
    return made


def _seed(job: BulkJob, folder: Path) -> int:
    """Return the seed of the job that is begun or goes on, and write the job's file."""
    begun = _begun(folder)
    if begun is None:
        seed = secrets.randbits(31) if job.seed is None else job.seed
        try:
            write_whole(folder / JOB, f'{{"version": 1, "seed": {seed}}}\n'.encode(), sync=True)
        except OSError as error:
            what = f"cannot be written: {error.strerror or error}"
            raise OutputError(what, who=str(folder), fix="choose a folder that you may write to") from error
        return seed
    if not job.resume:
        fix = "add --resume (resume=True) to go on with it, or choose another folder"
        raise OutputError("it holds a job already", who=str(folder), fix=fix)
    if job.seed not in (None, begun):
        what = f"the job was begun with seed {begun}, not {job.seed}"
        raise InvalidOption(what, who=str(folder), fix="leave the seed out, or choose another folder")
    return begun


def _begun(folder: Path) -> int | None:
    """Return the seed of the job in a folder; None where there is none."""
    path = folder / JOB
    if not path.exists():
        others = [entry.name for entry in folder.iterdir() if not entry.name.endswith(PART)]
        if others:
            what = f"it is not empty ({min(others)!r:.60})"
            raise OutputError(what, who=str(folder), fix="choose an empty or a new folder")
        return None
    try:
        seed = read_json_table(path)["seed"]
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise DocumentError("its seed is no whole number")
    except (DocumentError, KeyError, OSError) as error:
        fix = f"restore it, or remove {JOB}, {MANIFEST} and {LOG} to begin anew"
        raise OutputError(f"cannot be read ({error})", who=str(path), fix=fix) from error
    return seed


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes out; the system gives the lock back however this one ends."""
    if os.name == "nt":  # pragma: no cover - folders cannot be locked there
        yield
        return
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise OutputError(what, who=str(folder), fix="choose a folder of your own") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            fix = "wait for it, or choose another folder"
            raise OutputError("another process works in it", who=str(folder), fix=fix) from error
        except OSError as error:  # some file systems of networks have no locks
            _log.warning("%s cannot be kept for this process alone: %s", folder, error.strerror or error)
        yield
    finally:
        os.close(descriptor)


def _remove_if_nothing_was_spoken(folder: Path) -> None:
    """Remove a folder that was made for a job which did not come to its first row."""
    with contextlib.suppress(OSError):
        sizes = {entry.name: entry.stat().st_size for entry in folder.iterdir()}
        if set(sizes) <= {JOB, MANIFEST, LOG} and not (sizes.get(MANIFEST) or sizes.get(LOG)):
            for name in sizes:
                (folder / name).unlink()
            folder.rmdir()


def _check_count(value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_WORKERS:
        raise InvalidOption(f"it is {value!r:.40}", who=name, fix=f"give a whole number from 1 to {_MOST_WORKERS}")
