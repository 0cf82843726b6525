"""The work on one row, wherever it is done: speak it, write the audio under its temporary name, say what came of it."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts.bulk.manifest import write_synced
from realtts.bulk.result import failed, spoken
from realtts.bulk.speaking import speak_row
from realtts.errors import OutputError, ProviderClosed, RealTTSError
from realtts.folders import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from realtts.bulk.job import BulkJob
    from realtts.bulk.result import RowResult
    from realtts.bulk.rows import SpeechRow
    from realtts.provider.facade import RealProvider

__all__ = ["Done", "Spoken", "Task", "make_provider", "speak_task", "store", "work_on"]

_log = logging.getLogger("realtts.bulk")


@dataclass(frozen=True)
class Task:
    """A row that is to be spoken.

    Attributes:
        row: The row.
        file: Its audio file in the job's folder.
        fingerprint: What its audio follows from.
    """

    row: SpeechRow
    file: str
    fingerprint: str


@dataclass(frozen=True)
class Done:
    """A row that was worked on.

    Attributes:
        result: What became of it.
        seconds: That it took.
        rtf: Time over audio; None: there is none.
    """

    result: RowResult
    seconds: float
    rtf: float | None = None


def make_provider(job: BulkJob) -> RealProvider:
    """Make the provider of a job; nothing is loaded.

    Raises:
        RealTTSError: As `RealProvider`.
    """
    from realtts.provider.facade import RealProvider

    return RealProvider(job.provider, model=job.model, **job.settings)


@dataclass(frozen=True)
class Spoken:
    """A row that was worked on, with what is to be written; nothing after an error.

    Attributes:
        done: What became of it.
        content: Of the audio file.
        captions: Of the subtitle file; None: there is none.
    """

    done: Done
    content: bytes = b""
    captions: str | None = None


def work_on(task: Task, tts: RealProvider, job: BulkJob, folder: Path, seed: int) -> Done:
    """Speak a row and write its audio under its temporary name.

    Raises:
        OutputError: The audio cannot be written.
        ProviderClosed: The job is being ended.
    """
    return store(speak_task(task, tts, job, seed), folder)


def speak_task(task: Task, tts: RealProvider, job: BulkJob, seed: int) -> Spoken:
    """Speak a row; nothing is written.

    Raises:
        ProviderClosed: The job is being ended.
    """
    started = time.perf_counter()
    try:
        speech = speak_row(tts, task.row, job.defaults, seed)
        if speech.finish_reason == "cancelled":
            raise ProviderClosed("the job is being ended", who=f"row {task.row.number}")
        captions = getattr(speech, job.captions)() if job.captions and speech.marks else None
    except ProviderClosed:
        raise
    except Exception as error:  # whatever a row leads to, the others are spoken
        if not isinstance(error, RealTTSError):
            _log.exception("row %d could not be spoken", task.row.number)
        return Spoken(Done(failed(task.row, error), time.perf_counter() - started))
    content = speech.encode(job.format)
    files: dict[str, Any] = {"file": task.file, "fingerprint": task.fingerprint}
    if captions is not None:
        files["captions"] = f"{task.file.rpartition('.')[0]}.{job.captions}"
    files["sha256"] = hashlib.sha256(content).hexdigest()
    done = Done(spoken(task.row, speech, **files), time.perf_counter() - started, speech.metrics.rtf)
    return Spoken(done, content, captions)


def store(row: Spoken, folder: Path) -> Done:
    """Write what was spoken into the job's folder, the audio under its temporary name.

    Raises:
        OutputError: It cannot be written.
    """
    result = row.done.result
    if result.file:
        if row.captions is not None:
            _write_captions(folder / result.captions, row.captions)
        write_synced(folder / result.file, row.content)
    return row.done


def _write_captions(path: Path, content: str) -> None:
    try:
        write_whole(path, content.encode("utf-8"))
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise OutputError(what, who=str(path), fix="free some disk space") from error
