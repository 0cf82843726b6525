"""Requests that are spoken beside each other, for hooks that wait for none of them."""

from __future__ import annotations

import asyncio
import queue
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from realtts.contract.continuous import RowEnd, RowFailed
from realtts.contract.types import Chunk
from realtts_remote.speaking import speak

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable

    from realtts.contract.continuous import RowItem
    from realtts.contract.types import Request
    from realtts_remote.client import Client
    from realtts_remote.event_loop import EventLoop
    from realtts_remote.speaking import Utterance

__all__ = ["Rows"]

_MOST_WAITING = 64
"""Chunks of a row that wait to be taken; then its server has to wait, too."""

_STEP_S = 0.02
"""How long a step waits for something to come: so long does a cancellation wait at most."""


@dataclass(eq=False)
class _Row:
    request: Request
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_WAITING))
    work: concurrent.futures.Future[None] | None = None


class Rows:
    """Requests on their way. Used by one thread.

    Args:
        loop: Where they run.
        client: Who sends them.
        utter: Makes what is sent of a request; it may raise, which is the row's end.
        note_rung: Told of the rung that a server of ours names.
    """

    def __init__(
        self,
        loop: EventLoop,
        client: Client,
        utter: Callable[[Request], Utterance],
        note_rung: Callable[[str], None],
    ) -> None:
        self._loop, self._client, self._utter, self._note_rung = loop, client, utter, note_rung
        self._rows: dict[int, _Row] = {}
        self._items: queue.SimpleQueue[tuple[int, Chunk | RowEnd | RowFailed, str]] = queue.SimpleQueue()

    def __len__(self) -> int:
        return len(self._rows)

    def begin(self, number: int, request: Request) -> None:
        """Send a request."""
        row = self._rows[number] = _Row(request)
        if request.cancelled():
            return  # the next step ends it
        try:
            utterance = self._utter(request)
        except Exception as error:
            self._items.put((number, RowFailed(error), ""))
            return
        row.work = self._loop.start(self._speak(number, row, utterance))

    def step(self) -> RowItem | None:
        """Return what came next of any row, within a moment; None: nothing did."""
        for number, row in self._rows.items():
            if row.request.cancelled():
                self._end(number)
                return number, RowEnd("cancelled")
        try:
            number, content, rung = self._items.get(timeout=_STEP_S)
        except queue.Empty:
            return None
        if number not in self._rows:
            return None  # it was cancelled meanwhile
        if isinstance(content, Chunk):
            self._loop.call(self._rows[number].places.release)
            if rung:
                self._note_rung(rung)
        else:
            del self._rows[number]
        return number, content

    def close(self) -> None:
        """Give up all requests, and with them their connections."""
        for number in list(self._rows):
            self._end(number)

    def _end(self, number: int) -> None:
        row = self._rows.pop(number)
        if row.work is not None:
            row.work.cancel()

    async def _speak(self, number: int, row: _Row, utterance: Utterance) -> None:
        async def emit(chunk: Chunk, rung: str) -> None:
            await row.places.acquire()
            self._items.put((number, chunk, rung))

        try:
            await speak(self._client, utterance, emit)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._items.put((number, RowFailed(error), ""))
        else:
            self._items.put((number, RowEnd(), ""))
