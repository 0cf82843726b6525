"""A call to speak, in the parent: rows are sent as the worker has places for them, and what comes of each is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.contract.continuous import RowEnd
from realtts.contract.types import Chunk
from realtts.wire.calls import Reply
from realtts.wire.rows import RowOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from realtts.contract.continuous import Arrival, Arrivals, RowItem
    from realtts.contract.stages import StageLog
    from realtts.isolation.client import Worker
    from realtts.ladder.failures import StageError

__all__ = ["Conversation"]

JOIN_SLICE_S = 0.005
"""How often the parent looks for rows that have come, while the worker has a place and nothing to say."""

FULL_SLICE_S = 0.02
"""The same, while it has no place."""


class Conversation:
    """The rows of one call to a worker.

    Args:
        worker: Who speaks them; the call was sent.
        stages: Where the work for them is counted.
        on_end: Called when a row was spoken to its end.

    Attributes:
        reply: The worker's, which ends the call; None: it has not come.
        broken: Why the call had to end before its rows, None while it goes on.
    """

    def __init__(self, worker: Worker, stages: StageLog, on_end: Callable[[], None]) -> None:
        self.reply: Reply | None = None
        self.broken: StageError | None = None
        self._worker = worker
        self._stages = stages
        self._on_end = on_end

    def batch(self, rows: Sequence[Arrival]) -> Generator[RowItem, None, None]:
        """Yield what comes of rows that nobody joins.

        Raises:
            WorkerDied: The worker has ended, or was ended.
        """
        for row in rows:
            self._send(row)
        ends: dict[int, RowItem] = {}  # they count when the worker's reply is good
        while len(ends) < len(rows):
            item = self._received(None)
            if item is None:
                break  # the reply has come instead
            if isinstance(item[1], Chunk):
                yield item
                self._allow(item)
            else:
                ends[item[0]] = item
            if all(row.request.cancelled() for row in rows):
                break
        reply = self.conclude()
        if reply is not None and reply.error is None and reply.failure is None:
            for row in rows:  # those that nobody wants have no end of their own
                yield ends.get(row.number, (row.number, RowEnd()))

    def joining(
        self, first: Sequence[Arrival], arrivals: Arrivals, places: int
    ) -> Generator[RowItem | None, None, None]:
        """Yield what comes of rows that join while others are spoken; None when nothing has come for a moment.

        Args:
            first: Those that the call was opened for.
            arrivals: Where further ones come from.
            places: Most rows at a time.

        Raises:
            StageError: See `broken`. WorkerDied: the worker has ended, or was ended.
        """
        for row in first:
            self._send(row)
        while self._worker.rows:
            room = places - len(self._worker.rows)
            item = self._received(JOIN_SLICE_S if room else FULL_SLICE_S)
            if self.reply is not None:
                return
            yield item
            self._allow(item)
            if self.broken is not None:
                raise self.broken
            for row in arrivals.take(places - len(self._worker.rows)):
                self._send(row)

    def conclude(self) -> Reply | None:
        """End the call if it is open, and return the worker's reply; None: it has died.

        Raises:
            WorkerDied: It does so now.
        """
        if self.reply is None and self._worker.usable:
            self.reply = self._worker.finish()
        return self.reply

    def _send(self, row: Arrival) -> None:
        request = self._stages.request_of(row.number)
        self._worker.add(row.number, request if isinstance(request, int) else row.number, row.request)

    def _received(self, timeout_s: float | None) -> RowItem | None:
        """Return what the worker says of a row; None: nothing in time, or its reply."""
        message = self._worker.receive(timeout_s)
        if isinstance(message, Reply):
            self.reply = message
            return None
        if message is None:
            return None
        if isinstance(message, RowOutcome):
            self._stages.share([message.row], message.work)
            if message.error is None:
                self._on_end()
            return message.row, message.item()
        return message.row, message.chunk

    def _allow(self, item: RowItem | None) -> None:
        """Let the worker send a chunk more for one that was used."""
        if item is not None and isinstance(item[1], Chunk) and self.broken is None:
            self._worker.credit(item[0])
