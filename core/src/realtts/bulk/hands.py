"""Who works on the rows of a job: threads or processes here, or those of another distribution (``realtts.hands``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from realtts.errors import MissingExtra
from realtts.registry.entry_points import entry_points

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from realtts.bulk.job import BulkJob
    from realtts.bulk.work import Done, Task

__all__ = ["GROUP", "Hands", "hire_others"]

GROUP = "realtts.hands"
"""Entry points: functions with the parameters of `hire_others` behind the name."""


class Hands(Protocol):
    """Who works on rows."""

    @property
    def places(self) -> int:
        """Rows that are worked on at a time."""

    def submit(self, task: Task) -> Future[Done]:
        """Begin to work on a row."""

    def close(self, *, at_once: bool) -> None:
        """End; at once: give up what is being spoken."""


def hire_others(name: str, job: BulkJob, folder: Path, seed: int, rows: int) -> Hands:
    """Return the hands of another distribution.

    Args:
        name: Of the entry point, ``"ray"``.
        job: What is spoken, and by how many.
        folder: The job's.
        seed: The job's.
        rows: That one model is given at a time.

    Raises:
        MissingExtra: No distribution that has them is installed.
        RealTTSError: They cannot be reached, or cannot load the provider.
    """
    for point in entry_points(GROUP):
        if point.name == name:
            hire = cast("Callable[[BulkJob, Path, int, int], Hands]", point.load())
            return hire(job, folder, seed, rows)
    who, fix = f"realtts batch --{name}", f"pip install realtts-{name}"
    raise MissingExtra(f"realtts-{name} is not installed", who=who, fix=fix)
