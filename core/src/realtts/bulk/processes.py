"""Processes with a model each, for providers that one core keeps busy: every one speaks a row at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.bulk.result import failed
from realtts.bulk.work import Done, make_provider, work_on
from realtts.errors import ProviderClosed, WorkerDied

if TYPE_CHECKING:
    from realtts.bulk.job import BulkJob
    from realtts.bulk.work import Task
    from realtts.provider.facade import RealProvider

__all__ = ["Processes"]

_MOST_DEATHS = 3
"""Pools that may break while a row is spoken: after these the row is to blame. Its neighbours lose as many tries."""


@dataclass(eq=False)
class _Errand:
    """A row on its way, with the future that its sender holds, which outlives the pools."""

    task: Task
    future: Future[Done] = field(default_factory=Future)
    deaths: int = 0


@dataclass
class _Own:
    """What a worker process has."""

    tts: RealProvider
    job: BulkJob
    folder: Path
    seed: int


_own: list[_Own] = []  # of a worker process, filled once when it starts


class Processes:
    """A pool of worker processes that is made anew when one of them dies.

    Args:
        job: What is spoken, and by how many.
        folder: The job's.
        seed: The job's.
    """

    def __init__(self, job: BulkJob, folder: Path, seed: int) -> None:
        self.places = job.workers
        self._arguments = (job, str(folder), seed)
        self._pool = self._make()
        self._closing = False

    def submit(self, task: Task) -> Future[Done]:
        """Begin to work on a row."""
        errand = _Errand(task)
        self._send(errand)
        return errand.future

    def close(self, *, at_once: bool) -> None:
        """End the processes; at once: give up what is being spoken."""
        self._closing = True
        processes = list((getattr(self._pool, "_processes", None) or {}).values()) if at_once else []
        for process in processes:
            process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _make(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
        return ProcessPoolExecutor(self.places, context, initializer=_begin, initargs=self._arguments)

    def _send(self, errand: _Errand) -> None:
        pool = self._pool
        try:
            inner = pool.submit(_work, errand.task)
        except BrokenProcessPool:
            self._replace(pool)
            inner = self._pool.submit(_work, errand.task)
        inner.add_done_callback(lambda inner: self._receive(errand, inner, pool))

    def _receive(self, errand: _Errand, inner: Future[Done], pool: ProcessPoolExecutor) -> None:
        """Hand a result on; send the row again when its process died."""
        if inner.cancelled() or (self._closing and inner.exception() is not None):
            errand.future.set_exception(ProviderClosed("the job is being ended", who="realtts batch"))
            return
        error = inner.exception()
        if error is None:
            errand.future.set_result(inner.result())
        elif not isinstance(error, BrokenProcessPool):
            errand.future.set_exception(error)
        else:
            errand.deaths += 1
            if errand.deaths < _MOST_DEATHS:
                self._replace(pool)
                self._send(errand)
            else:
                what = f"worker processes died {errand.deaths} times while it was spoken"
                fault = WorkerDied(what, who=f"row {errand.task.row.number}", fix="speak it alone to see why")
                errand.future.set_result(Done(failed(errand.task.row, fault), 0.0))

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        if self._pool is broken:
            self._pool = self._make()


def _begin(job: BulkJob, folder: str, seed: int) -> None:
    """Make the provider of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends the others
    threading.Thread(target=_end_with_parent, daemon=True, name="realtts-batch-parent").start()
    _own.append(_Own(make_provider(job), job, Path(folder), seed))


def _work(task: Task) -> Done:
    own = _own[0]
    return work_on(task, own.tts, own.job, own.folder, own.seed)


def _end_with_parent() -> None:
    """End this process when the one that started it was killed: the pool's own would wait for rows for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
