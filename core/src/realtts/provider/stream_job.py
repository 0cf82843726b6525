"""The buffer between the engine's thread and a stream's reader, which holds nobody up."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.checks import read_only
from realtts.contract.types import Chunk
from realtts.errors import StreamStalled
from realtts.provider.jobs import SpeakingJob
from realtts.synthesis.rates import usual_rate
from realtts.synthesis.speech import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.ladder.protocols import AnyLadder
    from realtts.provider.feeding import Feeder
    from realtts.provider.shares import Priority
    from realtts.registry.extensions import Extensions
    from realtts.synthesis.cancellation import Deadline
    from realtts.synthesis.plan import Plan

__all__ = ["StreamJob"]


class StreamJob(SpeakingJob):
    """One plan, spoken live into a buffer. Nothing of it waits for the reader but its next piece.

    Args:
        plan: What to say.
        ladder: Who says it.
        extensions: Who sees the audio.
        wake: Called when the reader has made room, or more text was written.
        deadline: The time for it, which rests while the reader or the text is awaited; None: any.
        feeder: Who writes the text, where it is still being written.
        priority: See `SpeakingJob`.
    """

    def __init__(
        self,
        plan: Plan,
        ladder: AnyLadder,
        extensions: Extensions,
        wake: Callable[[], None],
        deadline: Deadline | None = None,
        *,
        feeder: Feeder | None = None,
        priority: Priority = "interactive",
    ) -> None:
        super().__init__([plan], ladder, extensions, deadline, live=True, priority=priority)
        self.metrics = Metrics()
        self.spoken_chars = 0  # of what was read
        self._plan = plan
        self._engine_wake = wake
        self._capacity = ladder.settings.stream_buffer
        self._stall_s = ladder.settings.stream_stall_s
        self._who = f"provider {ladder.spec.name!r}"
        self._ladder = ladder
        self._buffer: deque[tuple[Chunk, int]] = deque()  # each with the characters spoken by its end
        self._changed = threading.Condition()
        self._full_since: float | None = None
        self._abandoned = False
        self._notify: list[Callable[[], None]] = []
        self._feeder = feeder
        if plan.growth is not None:
            plan.growth.listen(wake)

    def feed(self) -> None:
        """Begin to read a text that is still being written, when the job waits for its turn."""
        if self._feeder is not None:
            self._feeder.start()

    def _stop_feeding(self) -> None:
        if self._plan.growth is not None:
            self._plan.growth.stop()

    def deliver(self, index: int, chunk: Chunk, spoken_chars: int) -> None:  # noqa: ARG002 - of the protocol
        """Put a chunk into the buffer."""
        with self._changed:
            if self._abandoned or self.future.done():
                return
            self._buffer.append((chunk, spoken_chars))
        self._wake()

    def has_room(self) -> bool:
        """Tell whether the reader has read enough; the deadline's clock rests while it has not."""
        with self._changed:
            room = len(self._buffer) < self._capacity or self._plan.cancelled.is_set()
            if room:
                self._full_since = None
            elif self._full_since is None:
                self._full_since = time.monotonic()
        if self._deadline is not None:
            works = room and not (self.session is not None and self.session.awaits_text)
            self._deadline.resume() if works else self._deadline.rest()
        return room

    def stalled(self) -> StreamStalled | None:
        """Return the error of a stream that nobody reads, while others wait."""
        if self.has_room() or self._full_since is None or time.monotonic() - self._full_since < self._stall_s:
            return None
        return StreamStalled(
            f"nobody read the stream for {self._stall_s:g} s while others waited",
            who=self._who,
            fix="read the stream to its end or close it; stream_stall_s sets the time",
        )

    def finished(self, metrics: Sequence[Metrics]) -> None:
        """Settle the future and wake the reader."""
        self.session = None
        self._stop_feeding()
        self.metrics = metrics[0]
        self.settle(lambda: None)
        self._wake()

    def drop(self, error: BaseException | None = None) -> None:
        """Settle the future without working and wake the reader."""
        self.session = None
        self._stop_feeding()
        if error is None and not self._abandoned:
            cancelled = Chunk(read_only(np.zeros(0, np.float32)), usual_rate(self._ladder), finish_reason="cancelled")
            self._buffer.append((cancelled, 0))
        super().drop(error)
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Settle the future with an error and wake the reader."""
        super().fail(error)
        self._stop_feeding()
        self._wake()

    def cancel(self) -> None:
        """Tell the provider to stop; what is in the buffer can still be read."""
        self._plan.cancelled.set()
        self._stop_feeding()
        self._wake()
        self._engine_wake()

    def abandon(self) -> None:
        """Stop, and drop what the reader, who has left, did not read."""
        with self._changed:
            self._abandoned = True
            self._buffer.clear()
        self.cancel()

    def take(self) -> Chunk | None:
        """Wait for the next chunk, None at the end. Raises what `work` raised, once the buffer is empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self.future.done())
        return self.take_ready()

    def take_ready(self) -> Chunk | None:
        """Return the next chunk of a buffer that holds one, or None for a job that is done."""
        with self._changed:
            if self._buffer:
                chunk, self.spoken_chars = self._buffer.popleft()
                self._full_since = None
                room = len(self._buffer) == self._capacity - 1
            else:
                chunk = None
        if chunk is None:
            self.future.result()
        elif room:
            self._engine_wake()
        return chunk

    def is_ready(self, notify: Callable[[], None]) -> bool:
        """Tell whether `take_ready` has something; if not, another thread calls ``notify`` when it may have."""
        with self._changed:
            if self._buffer or self.future.done():
                return True
            self._notify.append(notify)
            return False

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
            waiting, self._notify = self._notify, []
        for notify in waiting:
            notify()
