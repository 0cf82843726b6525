"""Requests spoken by the optimized variant: between two steps of the solver they join, leave, and take turns.

On the CPU one chunk fills the products' tiles, so each step is one chunk's. On a GPU chunks of one kind that wait share
their forwards. The next step is that of a request of which nothing has been heard, and of these, the one that has least
to do; every fourth step is that of whoever has waited longest.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from realtts.contract.continuous import RowEnd, RowFailed
from realtts_f5.groups import Group, Job
from realtts_f5.join import Speech
from realtts_f5.model import asked, lowers_precision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrival, Arrivals, RowItem
    from realtts.contract.types import Chunk, Request
    from realtts_f5.model import OptimizedModel

__all__ = ["mel", "speak"]

_TOGETHER = {"cpu": 1, "cuda": 16, "mps": 4}
"""Chunks that share a forward. On the CPU one fills the products' tiles: 1, 2 and 4 took 21.5, 21.8 and 21.1 s."""

_TURN = 4
"""One step in so many is that of whoever has waited longest."""


def mel(context: Context, model: OptimizedModel, request: Request) -> Tensor:
    """Compute the mel spectrogram of a request's first chunk, the recording included, float32 (frames, 100)."""
    ask = asked(context, model, request)
    group = Group(context, model, [Job(0, ask, ask.chunks[0])])
    while group.left:
        group.advance()
    return group.mels()[0]


def speak(context: Context, model: OptimizedModel, arrivals: Arrivals) -> Iterator[RowItem | None]:
    """Speak requests that join and leave between two steps of the solver; see the hook `generate_continuous`."""
    service = _Service(context, model)
    while True:
        yield from service.leave_cancelled()
        for arrival in arrivals.take(context.spec.batch_size - len(service.rows)):
            yield from service.begin(arrival)
        if not service.rows:
            return
        yield from service.step()


class _Row:
    """A request that is spoken."""

    def __init__(self, context: Context, model: OptimizedModel, arrival: Arrival) -> None:
        self.number, self.request = arrival.number, arrival.request
        self.ask = asked(context, model, arrival.request)
        self.jobs = deque(Job(self.number, self.ask, chunk) for chunk in self.ask.chunks)  # that have not begun
        self.half = self.ask.half and lowers_precision(context)
        self.heard = self.running = False
        # A GPU is ahead of who listens: it makes ever more chunks at once.
        self.size = 1 if arrival.request.streaming else len(self.jobs)
        self.served = 0  # the step in which it had its last turn
        self._speech = Speech(self.ask)
        self._sounds: dict[int, NDArray[np.float32]] = {}
        self._joined = 0  # chunks

    def take(self, count: int) -> list[Job]:
        """Begin its next chunks."""
        self.running, self.size = True, self.size * 2
        return [self.jobs.popleft() for _ in range(min(count, len(self.jobs)))]

    def add(self, job: Job, samples: NDArray[np.float32]) -> None:
        """Add a chunk's samples."""
        self.running = False
        self._sounds[job.chunk.index] = samples

    def chunks(self) -> Iterator[Chunk]:
        """Yield what can be heard of it now."""
        while self._joined in self._sounds:
            samples = self._sounds.pop(self._joined)
            chunk = self._speech.push(self.ask.chunks[self._joined], samples)
            self._joined += 1
            if chunk is not None:
                self.heard = True
                yield chunk

    @property
    def done(self) -> bool:
        """Whether all of it was joined."""
        return self._joined == len(self.ask.chunks)


class _Service:
    """The requests that are spoken, and the groups of chunks that are on their way."""

    def __init__(self, context: Context, model: OptimizedModel) -> None:
        self.rows: dict[int, _Row] = {}
        self._context, self._model = context, model
        self._groups: list[Group] = []
        self._steps = 0
        self._together = _TOGETHER.get(context.device.partition(":")[0], 1)

    def begin(self, arrival: Arrival) -> Iterator[RowItem]:
        """Let a request join."""
        try:
            self.rows[arrival.number] = _Row(self._context, self._model, arrival)
        except Exception as error:
            yield arrival.number, RowFailed(error)

    def leave_cancelled(self) -> Iterator[RowItem]:
        """Let requests leave that nobody wants any more, and groups in which nobody is left."""
        for number in [number for number, row in self.rows.items() if row.request.cancelled()]:
            del self.rows[number]
            yield number, RowEnd("cancelled")
        self._groups = [group for group in self._groups if self._members(group)]

    def step(self) -> Iterator[RowItem | None]:
        """Take the next step of a group, and yield what has come of it."""
        self._steps += 1
        group = self._next_running()
        jobs: Sequence[Job] = ()
        try:
            if (row := self._next_waiting(group)) is not None:
                group, jobs = None, self._jobs(row)
                group = Group(self._context, self._model, jobs)
                self._groups.append(group)
            assert group is not None, "a row is in a group, or waits for one"
            jobs = group.jobs
            group.advance()
            sounds = [] if group.left else group.sounds()
        except Exception as error:
            yield from self._failed(group, jobs, error)
            return
        for row in self._members(group):
            row.served = self._steps
        yield from self._heard(group, sounds) if not group.left else (None,)

    def _heard(self, group: Group, sounds: list[tuple[Job, NDArray[np.float32]]]) -> Iterator[RowItem | None]:
        """Yield what can be heard of a group that is done, and the ends of requests."""
        self._groups.remove(group)
        members = self._members(group)
        for job, samples in sounds:
            if job.row in self.rows:
                self.rows[job.row].add(job, samples)
        yield None
        for row in members:
            for chunk in row.chunks():
                if row.request.cancelled():
                    break
                yield row.number, chunk
            if row.done:
                del self.rows[row.number]
                yield row.number, RowEnd()

    def _failed(self, group: Group | None, jobs: Sequence[Job], error: Exception) -> Iterator[RowItem]:
        """Let the requests of a group leave: whoever of them was not at fault is spoken again by itself."""
        if group in self._groups:
            self._groups.remove(group)
        for number in dict.fromkeys(job.row for job in jobs):
            if self.rows.pop(number, None) is not None:
                yield number, RowFailed(error)

    # -- who is next -------------------------------------------------------------------------------------------------

    def _next_running(self) -> Group | None:
        """Return the group on its way that is next."""
        if self._steps % _TURN == 0:
            return min(self._groups, key=lambda group: min(row.served for row in self._members(group)), default=None)
        return min(self._groups, key=self._urgency, default=None)

    def _next_waiting(self, running: Group | None) -> _Row | None:
        """Return the request whose next chunks are begun now; None: the running group goes on."""
        waiting = [row for row in self.rows.values() if row.jobs and not row.running]
        if not waiting:
            return None
        if running is not None:
            if self._model.graphs is not None:  # whose memory holds one group
                return None
            # The network is there in one type at a time; who needs another waits until nobody computes, and nobody
            # begins before it.
            half = next(iter(self._members(running))).half
            if waiting[0].half != half:
                return None
            waiting = [row for row in waiting if row.half == half]
        first = min(waiting, key=_urgency_of)
        if running is None or self._longest_waiting(first, running) or _urgency_of(first) < self._urgency(running):
            return first
        return None

    def _longest_waiting(self, row: _Row, running: Group) -> bool:
        turn = self._steps % _TURN == 0
        return turn and row.served < min(member.served for member in self._members(running))

    def _jobs(self, first: _Row) -> list[Job]:
        """Begin chunks of a request, and of others that wait with the same kind, as many as share a forward."""
        jobs = first.take(min(first.size, self._together))
        for row in sorted(self.rows.values(), key=_urgency_of):
            room = self._together - len(jobs)
            if room and row.jobs and not row.running and row.jobs[0].kind == jobs[0].kind:
                jobs += row.take(min(row.size, room))
        return jobs

    def _urgency(self, group: Group) -> tuple[bool, int]:
        return all(row.heard for row in self._members(group)), group.work

    def _members(self, group: Group) -> list[_Row]:
        numbers = dict.fromkeys(job.row for job in group.jobs)
        return [self.rows[number] for number in numbers if number in self.rows]


def _urgency_of(row: _Row) -> tuple[bool, int]:
    """Return what a request's next chunk is ordered by: first chunks first, short ones before long ones."""
    return row.heard, row.ask.steps * row.jobs[0].chunk.frames if row.jobs else 0
