"""A stream of chunks as its reader sees it, which cannot be forgotten."""

from __future__ import annotations

import asyncio
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.errors import LadderExhausted
from realtts.provider.callers import current_caller, waker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from realtts.contract.types import Chunk
    from realtts.provider.callers import Caller
    from realtts.provider.queue import Turn
    from realtts.provider.stream_job import StreamJob
    from realtts.synthesis.speech import Metrics

__all__ = ["ChunkStream"]


class ChunkStream:
    """What `RealProvider.stream` returns: an iterator over chunks, and a context manager that closes it.

    The request joins the queue when the first chunk is asked for. The last chunk carries the finish reason and the
    warnings, and may hold no samples. Closing the stream, or dropping it, cancels the request.
    """

    def __init__(
        self,
        job: StreamJob,
        turn: Turn,
        keep_alive: object = None,
        cross: Callable[[LadderExhausted], tuple[ChunkStream, str]] | None = None,
    ) -> None:
        self._job = job
        self._turn = turn
        self._cross = cross  # gives the stream of another provider, while nothing was heard
        self._warning = ""  # that it spoke, for its first chunk
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
        except LadderExhausted as error:
            if self._cross is None:
                self.close()
                raise
            self._go_over(*self._crossed(self._cross, error))
            return next(self)
        except BaseException:
            self.close()
            raise
        if chunk is None:
            self._ended = True
            raise StopIteration
        return self._noted(chunk)

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
            while not self._job.is_ready(waker(loop, ready := asyncio.Event())):
                await ready.wait()
            chunk = self._job.take_ready()
        except LadderExhausted as error:
            if self._cross is None:
                self.close()
                raise
            self._go_over(*await asyncio.to_thread(self._crossed, self._cross, error))
            return await self.anext()
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
        if chunk is None:
            self._ended = True
            return None
        return self._noted(chunk)

    def _noted(self, chunk: Chunk) -> Chunk:
        """Return a chunk that is handed out, the first one of another provider with the warning that says so."""
        self._last_read = chunk.finish_reason is not None
        if len(chunk.samples):
            self._cross = None  # what was heard cannot be taken back
        if self._warning:
            chunk, self._warning = replace(chunk, warnings=(self._warning, *chunk.warnings)), ""
        return chunk

    def _crossed(
        self, cross: Callable[[LadderExhausted], tuple[ChunkStream, str]], error: LadderExhausted
    ) -> tuple[ChunkStream, str]:
        """Return the stream of another provider; when there is none, this one has ended."""
        try:
            return cross(error)
        except BaseException:
            self.close()
            raise

    def _go_over(self, other: ChunkStream, warning: str) -> None:
        """Read what another provider speaks from now on."""
        self._job, self._turn, self._keep_alive = other._job, other._turn, (self._keep_alive, other._keep_alive)
        self._cross, self._warning, self._begun, self._reader = None, warning, False, None
        self._turn.add(self)

    def _begin(self) -> None:
        """Join the queue, once, and note who reads."""
        with self._beginning:
            if not self._begun:
                self._begun = True
                try:
                    self._turn.take(self._job)
                    self._job.feed()
                except BaseException:
                    # An interrupt may come when the job is in the queue already.
                    self._ended = True
                    self._job.abandon()
                    raise
            self._reader = weakref.ref(current_caller())
