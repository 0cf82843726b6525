"""Inner stages of `generate`: the time that each took, and the work that the hardware had to do for it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

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
    """

    seconds: float = 0.0
    steps: int = 0
    bytes: int = 0
    flops: int = 0
    dtype: str = "float32"

    def __add__(self, other: StageWork) -> StageWork:
        return StageWork(
            self.seconds + other.seconds,
            self.steps + other.steps,
            self.bytes + other.bytes,
            self.flops + other.flops,
            other.dtype,
        )


class Work:
    """An open stage, as `timed` hands it out.

    Attributes:
        name: The stage's name.
    """

    __slots__ = ("_bytes", "_dtype", "_flops", "_steps", "name", "seconds")

    def __init__(self, name: str, dtype: str) -> None:
        self.name = name
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
    """The inner stages of one request at a time.

    The rung tells it when the provider works and when a reader holds a chunk. Time goes to the stage that was entered
    last and is still open, so stages never sum to more than the time that passed, however they are nested.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a provider may decode in one thread and run its vocoder in another
        self._open: list[Work] = []
        self._done: dict[str, StageWork] = {}
        self._generating = False
        self._since: float | None = None  # when the provider began to work, None while it does not

    def reset(self) -> None:
        """Forget everything: a new request begins."""
        with self._lock:
            self._open, self._done, self._since, self._generating = [], {}, None, False

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

    def end(self) -> None:
        """Note that `generate` is over: what is timed from here on, such as a warm-up, is not a request's."""
        with self._lock:
            self._flush()
            self._since, self._generating = None, False

    def enter(self, work: Work) -> None:
        """Open a stage."""
        with self._lock:
            if self._generating:
                self._flush()
                self._open.append(work)

    def leave(self, work: Work) -> bool:
        """Close a stage; False when it was not a request's."""
        with self._lock:
            if work not in self._open:
                return False
            self._flush()
            self._open.remove(work)
            self._done[work.name] = self._done.get(work.name, StageWork()) + work.total()
            return True

    def totals(self) -> dict[str, StageWork]:
        """Return what the closed stages of this request did, by name."""
        with self._lock:
            return dict(self._done)

    def _flush(self) -> None:
        """Add the time since the last change to the stage that it was spent in."""
        if self._since is not None:
            now = time.perf_counter()
            if self._open:
                self._open[-1].seconds += now - self._since
            self._since = now
