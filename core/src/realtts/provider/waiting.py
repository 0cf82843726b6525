"""The jobs that wait for a provider's engine: how many may, who makes room, and who is next."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from realtts.errors import Busy
from realtts.provider.jobs import FunctionJob, SpeakingJob
from realtts.provider.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from realtts.provider.jobs import Job
    from realtts.synthesis.session import Session

__all__ = ["WaitingJobs"]


class WaitingJobs:
    """A bounded queue. Used under the engine's lock.

    Args:
        who: The provider, for messages.
        capacity: Most jobs of each priority.
    """

    def __init__(self, who: str, capacity: int) -> None:
        self._who, self.capacity = who, capacity
        self._jobs: deque[Job] = deque()
        self._shares = Shares()

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    def add(self, job: Job, *, urgent: bool) -> SpeakingJob | None:
        """Queue a job; return the one that had to make room for it.

        Args:
            job: The work.
            urgent: Take it even when the queue is full.

        Raises:
            Busy: The queue is full.
        """
        refused = None if urgent or len(self._of_priority(job)) < self.capacity else self._make_room(job)
        if isinstance(job, SpeakingJob):
            job.tag = self._shares.tag(job.caller, job.cost)
        self._jobs.append(job)
        return refused

    def remove(self, job: Job) -> bool:
        """Take a job out; return False when it does not wait."""
        try:
            self._jobs.remove(job)
        except ValueError:
            return False
        return True

    def take_all(self) -> list[Job]:
        """Take every job out."""
        jobs = list(self._jobs)
        self._jobs.clear()
        return jobs

    def take_requests(self) -> list[SpeakingJob]:
        """Take every request out, but no housekeeping."""
        requests = [job for job in self._jobs if isinstance(job, SpeakingJob)]
        self._jobs = deque(job for job in self._jobs if not isinstance(job, SpeakingJob))
        return requests

    def take_function(self, *, speaking: bool) -> FunctionJob | None:
        """Take the first function out, unless it waits for what came before it.

        Args:
            speaking: Whether requests have begun.
        """
        first = self._jobs[0] if self._jobs else None
        for job in self._jobs:
            if isinstance(job, FunctionJob):
                if job.after_all and (job is not first or speaking):
                    return None
                self._jobs.remove(job)
                return job
        return None

    def wants_rest(self) -> bool:
        """Tell whether a function waits for the model to be at rest."""
        return any(isinstance(job, FunctionJob) and not job.after_all for job in self._jobs)

    def next_place(self, begun: Sequence[SpeakingJob], fits: Callable[[Session], bool]) -> SpeakingJob | None:
        """Return the job that gets a free place; one that begins leaves the queue.

        Args:
            begun: Those that have begun and want further places.
            fits: Tells whether one that waits may begin.
        """
        job = self._first([*begun, *(each for each in self._before_barrier() if _fits(each, fits))])
        if job is None or job.session is None:
            return None
        if not job.session.begun:
            self._jobs.remove(job)
        self._shares.serve(job.caller, job.tag, job.cost)
        if job.session.waiting > 1 or job.session.growing:
            job.tag = self._shares.tag(job.caller, job.cost)
        return job

    def worked(self, seconds: float, cost: float) -> None:
        """Note time that the provider has worked, and the cost of the rows that it has ended."""
        self._shares.worked(seconds, cost)

    def busy(self, job: Job) -> Busy:
        """Make the error of a full queue; bulk requests wait for everybody, interactive ones for each other."""
        bulk = _priority(job) == "bulk"
        before = self._jobs if bulk else self._of_priority(job)
        cost = sum(each.cost for each in before if isinstance(each, SpeakingJob))
        wait_s = self._shares.wait_s(cost)
        about = "" if wait_s is None else f", about {max(1, round(wait_s))} s of work"
        error = Busy(
            f"{len(self._of_priority(job))} {'bulk ' if bulk else ''}requests wait already{about}",
            who=self._who,
            fix="try again later, raise queue_size, or use more processes",
        )
        error.wait_s = wait_s
        return error

    def _of_priority(self, job: Job) -> list[Job]:
        """Return the jobs that wait in the same queue as one: each priority has its own bound."""
        priority = _priority(job)
        return [each for each in self._jobs if _priority(each) == priority]

    def _make_room(self, job: Job) -> SpeakingJob:
        """Take the waiting job of the caller that was served most, if that is more than the new one's.

        Raises:
            Busy: There is none.
        """
        waiting = [each for each in self._of_priority(job) if isinstance(each, SpeakingJob)]
        if not isinstance(job, SpeakingJob) or not waiting:
            raise self.busy(job)
        most = max(waiting, key=lambda each: self._shares.served(each.caller))
        if self._shares.served(most.caller) <= self._shares.served(job.caller) + job.cost:
            raise self.busy(job)
        self._jobs.remove(most)
        return most

    def _first(self, jobs: Sequence[SpeakingJob]) -> SpeakingJob | None:
        """Return the job with the smallest tag of the interactive ones, now and then of the bulk ones."""
        interactive = [job for job in jobs if job.priority == "interactive"]
        bulk = [job for job in jobs if job.priority == "bulk"]
        chosen = bulk if bulk and (not interactive or self._shares.bulk_is_next()) else interactive
        if not chosen:
            return None
        job = min(chosen, key=_tag)
        self._shares.place(job.priority, bulk_waits=bool(bulk))
        return job

    def _before_barrier(self) -> list[SpeakingJob]:
        """Return the waiting requests, without those that came after a function that all before it is done for."""
        jobs: list[SpeakingJob] = []
        for job in self._jobs:
            if isinstance(job, SpeakingJob):
                jobs.append(job)
            elif getattr(job, "after_all", False):
                break
        return jobs


def _priority(job: Job) -> str:
    """Return the priority of a job; functions wait among the interactive ones."""
    return job.priority if isinstance(job, SpeakingJob) else "interactive"


def _fits(job: SpeakingJob, fits: Callable[[Session], bool]) -> bool:
    session = job.session  # None once it was withdrawn
    return session is not None and fits(session)


def _tag(job: SpeakingJob) -> float:
    return job.tag
