"""Running a job: rows are read as they are needed, spoken side by side, and noted one after the other."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.bulk.audiobook import can_write, chapters_of, write_audiobook
from realtts.bulk.book import chapter_rows, read_chapters
from realtts.bulk.checks import check_job
from realtts.bulk.hands import hire_others
from realtts.bulk.job import Summary, open_folder
from realtts.bulk.manifest import Manifest
from realtts.bulk.result import failed
from realtts.bulk.rows import BadRow, Names
from realtts.bulk.speaking import fingerprint, saved_digests, speaker_of
from realtts.bulk.tables import read_rows
from realtts.bulk.work import Task, make_provider, work_on
from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from realtts.bulk.hands import Hands
    from realtts.bulk.job import BulkJob
    from realtts.bulk.result import RowResult
    from realtts.bulk.rows import SpeechRow
    from realtts.bulk.work import Done
    from realtts.provider.facade import RealProvider

__all__ = ["Progress", "run_job"]

_ROWS = 8
"""Rows that a model is given at a time; one that speaks them one by one lets the others wait."""


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        rows: All of the table.
        done: Those that need no more work.
        chars: Characters of all rows.
        done_chars: Those of the rows that need no more work.
        spoken_chars: Those that were spoken since the job began or went on.
        failed: Rows with an error.
        audio_s: Seconds of audio.
    """

    rows: int
    chars: int
    done: int = 0
    done_chars: int = 0
    spoken_chars: int = 0
    failed: int = 0
    audio_s: float = 0.0


def run_job(job: BulkJob, show: Callable[[Progress], Any] = lambda _: None) -> Summary:
    """Speak the rows of a table into files.

    A row that cannot be spoken has its error in the manifest, and the others are spoken all the same. Whenever the
    process ends, even killed, the job goes on with ``resume``: the audio is that of a run without any interruption.

    Args:
        job: Table, folder, speaker.
        show: Called with the progress after each row.

    Returns:
        What came of it.

    Raises:
        InputError: The table or a setting is wrong; nothing was spoken.
        OutputError: The folder cannot be used, or the disk is full; what was spoken is kept.
        RealTTSError: The provider cannot be loaded.
    """
    job.check()
    total, aligned = _measure(job)
    with make_provider(job) as tts:
        check_job(job, tts, aligned=aligned)
        with open_folder(job) as place:
            return _Run(job, tts, place, total, show).run()


class _Run:
    """A job that is running."""

    def __init__(
        self, job: BulkJob, tts: RealProvider, place: tuple[Path, int], total: Progress, show: Callable[[Progress], Any]
    ) -> None:
        self._job, self._tts, (self._folder, self._seed) = job, tts, place
        self._show = show
        self._progress = total
        self._earlier = 0
        self._results: dict[int, RowResult] = {}
        self._manifest = Manifest(self._folder)
        self._speaker = speaker_of(tts, job.format, job.captions)
        self._saved = saved_digests(tts)

    def run(self) -> Summary:
        """Work on every row that is not done yet."""
        started = time.perf_counter()
        try:
            tasks = self._tasks()
            first = next(tasks, None)
            if first is not None:
                self._work(first, tasks)
            self._manifest.complete([self._results[number] for number in sorted(self._results)])
        finally:
            self._manifest.close()
        spoken = sum(bool(result.file) for result in self._results.values())
        return Summary(
            rows=self._progress.rows,
            spoken=spoken,
            earlier=self._earlier,
            failed=len(self._results) - spoken,
            audio_s=self._progress.audio_s,
            seconds=time.perf_counter() - started,
            seed=self._seed,
            folder=self._folder,
            audiobook=self._audiobook(),
        )

    def _audiobook(self) -> Path | None:
        """Write all chapters into one file, where that is wanted and can be done; one that lacks a chapter is none."""
        if not self._job.chapters or not can_write():
            return None
        title = Path(self._job.source).stem
        path = self._folder / f"{title}.m4b"
        results = [self._results[number] for number in sorted(self._results)]
        if not all(result.file for result in results):
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        contents = repr([(result.extra["title"], result.sha256) for result in results])
        digest = hashlib.sha256(contents.encode("utf-8", "backslashreplace")).hexdigest()
        if chapters_of(path) != digest:
            chapters = [(str(result.extra["title"]), self._folder / result.file) for result in results]
            write_audiobook(path, chapters, title=title, digest=digest)
        return path

    def _work(self, first: Task, rest: Iterator[Task]) -> None:
        hands = self._hire()
        waiting: dict[Future[Done], Task] = {}
        done = False
        try:
            upcoming = deque([first])
            while upcoming or waiting:
                while upcoming and len(waiting) < 2 * hands.places:
                    task = upcoming.popleft()
                    waiting[hands.submit(task)] = task
                    upcoming.extend([task for task in [next(rest, None)] if task is not None])
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    self._note(future.result(), len(waiting.pop(future).row.text))
            done = True
        finally:
            hands.close(at_once=not done)

    def _hire(self) -> Hands:
        if self._job.ray is not None:
            return hire_others("ray", self._job, self._folder, self._seed, _places(self._job, self._tts))
        self._tts.load()  # a model that cannot be loaded is no fault of the first rows
        if self._job.workers > 1:
            self._tts.unload()  # each of the processes has its own
            from realtts.bulk.processes import Processes

            return Processes(self._job, self._folder, self._seed)
        return _Threads(self._job, self._tts, self._folder, self._seed)

    def _tasks(self) -> Iterator[Task]:
        """Yield the rows that are to be spoken; note the others."""
        names, suffix = Names(), f".{self._job.format}"
        for row in _rows(self._job):
            name = None if isinstance(row, BadRow) else names.add(row.id)
            if isinstance(row, BadRow):
                self._take(failed(row, row.error), 0)
            elif name is None:
                fault = InvalidOption(f"an earlier row has the id {row.id!r:.60}", who="id", fix="give each its own")
                self._take(failed(row, fault), len(row.text))
            else:
                mark = fingerprint(row, self._job.defaults, self._seed, self._speaker, self._saved)
                task = Task(row, name + suffix, mark)
                earlier = self._manifest.entries.get(task.file)
                if earlier is None or earlier.fingerprint != task.fingerprint:
                    yield task
                    continue
                self._earlier += 1
                self._take(replace(earlier, number=row.number, extra=row.extra), len(row.text))

    def _note(self, done: Done, chars: int) -> None:
        """Keep the result of a row that was worked on."""
        self._manifest.add(done.result, seconds=round(done.seconds, 4), rtf=done.rtf, at=round(time.time(), 3))
        self._progress = replace(self._progress, spoken_chars=self._progress.spoken_chars + chars)
        self._take(done.result, chars)

    def _take(self, result: RowResult, chars: int) -> None:
        self._results[result.number] = result
        before = self._progress
        self._progress = replace(
            before,
            done=before.done + 1,
            done_chars=before.done_chars + chars,
            failed=before.failed + (not result.file),
            audio_s=before.audio_s + result.duration_s,
        )
        self._show(self._progress)


class _Threads:
    """Threads of this process, which share one model."""

    def __init__(self, job: BulkJob, tts: RealProvider, folder: Path, seed: int) -> None:
        self.places = _places(job, tts)
        self._tts = tts
        self._arguments = (tts, job, folder, seed)
        self._pool = ThreadPoolExecutor(self.places, thread_name_prefix="realtts-batch")

    def submit(self, task: Task) -> Future[Done]:
        return self._pool.submit(work_on, task, *self._arguments)

    def close(self, *, at_once: bool) -> None:
        self._pool.shutdown(wait=not at_once, cancel_futures=True)
        if at_once:
            self._tts.close(timeout_s=3.0)
            self._pool.shutdown(wait=True)


def _places(job: BulkJob, tts: RealProvider) -> int:
    """Return how many rows one model is given at a time."""
    return job.concurrency or tts.settings.max_batch or _ROWS


def _rows(job: BulkJob) -> Iterable[SpeechRow | BadRow]:
    return chapter_rows(read_chapters(job.source)) if job.chapters else read_rows(job.source)


def _measure(job: BulkJob) -> tuple[Progress, bool]:
    """Read the whole table once: its faults are seen before any work, and the time that is left can be told.

    Returns:
        What there is to do, and whether a row asks for the times of its words.
    """
    rows = chars = 0
    aligned = False
    for row in _rows(job):
        rows += 1
        chars += 0 if isinstance(row, BadRow) else len(row.text)
        aligned = aligned or (not isinstance(row, BadRow) and row.timestamps is not None)
    if not rows:
        raise InvalidOption("it has no rows", who=str(job.source), fix="write one text in each")
    return Progress(rows, chars), aligned
