"""Inner stages of `generate`: the time that each took, and the work that the hardware had to do for it, per request."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

__all__ = ["Cancelled", "StageLog", "StageWork", "Work", "never"]


class Cancelled(Exception):
    """The request is no longer wanted: raised between two steps inside a provider, never shown to users."""


def never() -> bool:
    """Return False: `Request.cancelled` where nobody can cancel, as in a warm-up."""
    return False


@dataclass(frozen=True)
class StageWork:
    """What one inner stage did for a request, all its pieces, rows and retries together.

    Attributes:
        seconds: Time that the provider worked in it; without the time of stages inside it, and without the time in
            which a reader held a chunk.
        steps: Decode steps, solver steps or vocoder calls.
        bytes: Bytes that had to be read from memory, at least.
        flops: Floating-point operations that were needed, a multiplication and an addition counting two.
        dtype: Type that they were computed in.
        row_steps: Steps, each times the rows of the request that it worked for.
        own_steps: Steps, each divided by the number of requests that it worked for: over all requests these are the
            steps that were made, and the sum of ``row_steps`` over them is the mean number of rows of a step.
    """

    seconds: float = 0.0
    steps: int = 0
    bytes: int = 0
    flops: int = 0
    dtype: str = "float32"
    row_steps: int = 0
    own_steps: float = 0.0

    def __add__(self, other: StageWork) -> StageWork:
        return StageWork(
            self.seconds + other.seconds,
            self.steps + other.steps,
            self.bytes + other.bytes,
            self.flops + other.flops,
            other.dtype,
            self.row_steps + other.row_steps,
            self.own_steps + other.own_steps,
        )


class Work:
    """An open stage, as `timed` hands it out.

    Attributes:
        name: The stage's name.
        rows: Numbers of the rows that it works for; None: all that are spoken.
    """

    __slots__ = ("_bytes", "_dtype", "_flops", "_steps", "name", "rows", "seconds")

    def __init__(self, name: str, dtype: str, rows: Collection[int] | None = None) -> None:
        self.name = name
        self.rows = rows
        self.seconds = 0.0
        self._dtype = dtype
        self._steps = self._bytes = self._flops = 0

    def add(self, *, steps: int = 0, bytes: int = 0, flops: int = 0) -> None:  # noqa: A002 - the plain word
        """Count work. Plain integers: nothing here may wait for a device.

        Args:
            steps: Decode steps, solver steps or vocoder calls.
            bytes: Bytes that had to be read from memory.
            flops: Floating-point operations.
        """
        self._steps += steps
        self._bytes += bytes
        self._flops += flops

    def total(self) -> StageWork:
        """Return what was counted so far, as plain numbers: a plugin may count with numpy's."""
        return StageWork(self.seconds, int(self._steps), int(self._bytes), int(self._flops), str(self._dtype))


class StageLog:
    """The inner stages of the requests that are being spoken.

    The rung tells it when the provider works and when a reader holds a chunk. Time goes to the stage that was entered
    last and is still open, so the stages of a request never sum to more than the time that passed, however they are
    nested. A stage that several requests share counts in full for each of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a provider may decode in one thread and run its vocoder in another
        self._open: list[tuple[Work, Counter[Hashable]]] = []  # each with the requests that it works for, by their rows
        self._request_of: dict[int, Hashable] = {}  # row -> its request
        self._done: dict[Hashable, dict[str, StageWork]] = {}
        self._generating = False
        self._since: float | None = None  # when the provider began to work, None while it does not

    def begin(self, row: int, request: Hashable) -> None:
        """Count the work for a row as a request's, until `end`."""
        with self._lock:
            self._request_of[row] = request

    def end(self, row: int) -> None:
        """Count no more work for a row."""
        with self._lock:
            self._request_of.pop(row, None)

    def request_of(self, row: int) -> Hashable:
        """Return the request that the work for a row counts for; None: no row of that number is spoken."""
        with self._lock:
            return self._request_of.get(row)

    def totals(self, request: Hashable) -> dict[str, StageWork]:
        """Return what the closed stages of a request did so far, by name."""
        with self._lock:
            return dict(self._done.get(request, {}))

    def forget(self, request: Hashable) -> None:
        """Drop what was counted for a request, which is over."""
        with self._lock:
            self._done.pop(request, None)

    def share(self, rows: Collection[int], work: Mapping[str, StageWork]) -> None:
        """Count work for rows that was measured elsewhere, such as in a worker."""
        with self._lock:
            for request in {self._request_of[row] for row in rows if row in self._request_of}:
                for name, done in work.items():
                    self._add(request, name, done)

    def resume(self) -> None:
        """Start the clock: the provider works from here on."""
        with self._lock:
            self._generating = True
            self._since = time.perf_counter()

    def pause(self) -> None:
        """Stop the clock: the provider has yielded and waits."""
        with self._lock:
            self._flush()
            self._since = None

    def stop(self) -> None:
        """Note that `generate` is over: what is timed from here on, such as a warm-up, is not a request's."""
        with self._lock:
            self._flush()
            self._since, self._generating, self._open = None, False, []

    def enter(self, work: Work) -> None:
        """Open a stage."""
        with self._lock:
            if self._generating:
                self._flush()
                rows = self._request_of if work.rows is None else work.rows
                requests = Counter(self._request_of[row] for row in rows if row in self._request_of)
                self._open.append((work, requests))

    def leave(self, work: Work) -> bool:
        """Close a stage; False when it was not a request's."""
        with self._lock:
            at = next((place for place, (each, _) in enumerate(self._open) if each is work), None)
            if at is None:
                return False
            self._flush()
            _, requests = self._open.pop(at)
            total = work.total()
            for request, rows in requests.items():
                own = replace(total, row_steps=rows * total.steps, own_steps=total.steps / len(requests))
                self._add(request, work.name, own)
            return True

    def _add(self, request: Hashable, name: str, work: StageWork) -> None:
        done = self._done.setdefault(request, {})
        done[name] = done.get(name, StageWork()) + work

    def _flush(self) -> None:
        """Add the time since the last change to the stage that it was spent in."""
        if self._since is not None:
            now = time.perf_counter()
            if self._open:
                self._open[-1][0].seconds += now - self._since
            self._since = now
