"""A stream of chunks from the engine's thread to its reader, bounded and impossible to forget."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.checks import read_only
from realtts.contract.types import Chunk
from realtts.errors import StreamStalled
from realtts.provider.jobs import TimedJob
from realtts.provider.queue import current_caller
from realtts.synthesis.speech import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from realtts.contract.spec import ProviderSpec
    from realtts.provider.queue import Caller, Turn
    from realtts.settings import Settings
    from realtts.synthesis.cancellation import Deadline
    from realtts.synthesis.plan import Plan
    from realtts.synthesis.session import Session

__all__ = ["ChunkStream", "StreamJob"]


class StreamJob(TimedJob):
    """One plan, spoken live into a bounded buffer.

    Args:
        plan: What to say.
        speak: Makes the live session, given the seconds waited.
        settings: ``stream_buffer`` chunks are generated ahead of the reader; after ``stream_stall_s`` of not being
            read the stream is ended, if others wait.
        others_wait: Whether they do.
        spec: The provider.
        deadline: The time for it, which rests while the reader is awaited; None: any.
        rate: Tells the sample rate in Hz of a stream in which nothing is said.
    """

    def __init__(  # noqa: PLR0917 - named by the caller
        self,
        plan: Plan,
        speak: Callable[[float], Session],
        settings: Settings,
        others_wait: Callable[[], bool],
        spec: ProviderSpec,
        deadline: Deadline | None = None,
        *,
        rate: Callable[[], int],
    ) -> None:
        super().__init__([plan], deadline)
        self.metrics = Metrics()
        self.spoken_chars = 0  # of what was read
        self._plan = plan
        self._speak = speak
        self._capacity = settings.stream_buffer
        self._stall_s = settings.stream_stall_s
        self._others_wait = others_wait
        self._who = f"provider {spec.name!r}"
        self._rate = rate
        self._buffer: deque[tuple[Chunk, int]] = deque()  # each with the characters spoken by its end
        self._changed = threading.Condition()
        self._abandoned = False
        self._notify: list[Callable[[], None]] = []

    def work(self) -> None:
        """Speak into the buffer until the end, the reader's leaving or its stalling."""
        session = self._speak(self.queued_s)
        chunks = session.chunks()
        try:
            for _, chunk in chunks:
                if not self._put(chunk, session.spoken_chars):
                    break
        finally:
            chunks.close()  # the generator ends in the thread that ran it
            self.metrics = session.metrics[0]

    def run(self) -> None:
        """Work, settle the future and wake the reader."""
        super().run()
        self._wake()

    def drop(self, error: BaseException | None = None) -> None:
        """Settle the future without working and wake the reader."""
        if error is None and not self._abandoned:
            cancelled = Chunk(read_only(np.zeros(0, np.float32)), self._rate(), finish_reason="cancelled")
            self._buffer.append((cancelled, 0))
        super().drop(error)
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Settle the future with an error and wake the reader."""
        super().fail(error)
        self._wake()

    def cancel(self) -> None:
        """Tell the provider to stop; what is in the buffer can still be read."""
        self._plan.cancelled.set()
        self._wake()

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
                self._changed.notify_all()
                return chunk
        self.future.result()
        return None

    def is_ready(self, notify: Callable[[], None]) -> bool:
        """Tell whether `take_ready` has something; if not, another thread calls ``notify`` when it may have."""
        with self._changed:
            if self._buffer or self.future.done():
                return True
            self._notify.append(notify)
            return False

    def _put(self, chunk: Chunk, spoken_chars: int) -> bool:
        """Hand a chunk over, waiting for room; return False when the reader has left."""
        with self._changed:
            if not self._has_room():
                self._wait_for_room()
            if self._abandoned or self.future.done():
                return False
            self._buffer.append((chunk, spoken_chars))
        self._wake()
        return True

    def _wait_for_room(self) -> None:
        began = time.monotonic()
        if self._deadline is not None:
            self._deadline.rest()
        # In slices, since someone may join the queue while the reader is away.
        while not self._changed.wait_for(self._has_room, min(self._stall_s, 0.25)):
            if time.monotonic() - began >= self._stall_s and self._others_wait():
                self._plan.cancelled.set()
                raise StreamStalled(
                    f"nobody read the stream for {self._stall_s:g} s while others waited",
                    who=self._who,
                    fix="read the stream to its end or close it; stream_stall_s sets the time",
                )
        if self._deadline is not None:
            self._deadline.resume()

    def _has_room(self) -> bool:
        return len(self._buffer) < self._capacity or self._plan.cancelled.is_set()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
            waiting, self._notify = self._notify, []
        for notify in waiting:
            notify()


class ChunkStream:
    """What `RealProvider.stream` returns: an iterator over chunks, and a context manager that closes it.

    The request joins the queue when the first chunk is asked for. The last chunk carries the finish reason and the
    warnings, and may hold no samples. Closing the stream, or dropping it, cancels the request.
    """

    def __init__(self, job: StreamJob, turn: Turn, keep_alive: object = None) -> None:
        self._job = job
        self._turn = turn
        self._keep_alive = keep_alive  # the provider, which ends its thread when nobody refers to it
        self._begun = False
        self._ended = False
        self._last_read = False
        self._reader: weakref.ref[Caller] | None = None  # a task or thread may hold the stream
        self._beginning = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether it was begun and neither read to its last chunk nor closed."""
        return self._begun and not (self._ended or self._last_read)

    @property
    def reader(self) -> Caller | None:
        """Who has read it last; None: nobody, or one that is gone."""
        return self._reader() if self._reader is not None else None

    @property
    def metrics(self) -> Metrics:
        """What the speech cost; complete at the end of the stream."""
        return self._job.metrics

    @property
    def spoken_chars(self) -> int:
        """Characters of the text of which the audio was read: it never falls, and is the whole text at the end."""
        return self._job.spoken_chars

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        if self._ended:
            raise StopIteration
        self._begin()
        try:
            self._turn.wait(self._job)
            chunk = self._job.take()
        except BaseException:
            self.close()
            raise
        if chunk is None:
            self._ended = True
            raise StopIteration
        self._last_read = chunk.finish_reason is not None
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._begun and not self._ended:
            self.close()

    def close(self) -> None:
        """Cancel the request; chunks that were not read are dropped. May be called again, and from any thread."""
        if not self._ended:
            self._ended = True
            self._job.abandon()

    async def anext(self) -> Chunk | None:
        """Wait for the next chunk without blocking the event loop, None at the end."""
        if self._ended:
            return None
        self._begin()
        loop = asyncio.get_running_loop()
        timer = self._turn.watch(self._job, loop)
        try:
            while not self._job.is_ready(_waker(loop, ready := asyncio.Event())):
                await ready.wait()
            chunk = self._job.take_ready()
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
        if chunk is None:
            self._ended = True
        else:
            self._last_read = chunk.finish_reason is not None
        return chunk

    def _begin(self) -> None:
        """Join the queue, once, and note who reads."""
        with self._beginning:
            if not self._begun:
                self._begun = True
                try:
                    self._turn.take(self._job)
                except BaseException:
                    # An interrupt may come when the job is in the queue already.
                    self._ended = True
                    self._job.abandon()
                    raise
            self._reader = weakref.ref(current_caller())


def _waker(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> Callable[[], None]:
    """Return a function that sets the event of another thread's loop."""

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed, nobody waits any more
            loop.call_soon_threadsafe(ready.set)

    return wake
