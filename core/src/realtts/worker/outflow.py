"""Chunks and ends of rows on their way to the parent, each row within its own window."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from realtts.ladder.failures import StageError
from realtts.wire.channel import Channel, ChannelFault, Kind
from realtts.wire.faults import ErrorMessage
from realtts.wire.messages import ChunkMessage, samples_to_bytes, to_json
from realtts.wire.reading import outgoing
from realtts.wire.rows import RowOutcome

if TYPE_CHECKING:
    from realtts.contract.types import Chunk
    from realtts.worker.inflow import RowControl

__all__ = ["Outflow"]


class Outflow:
    """What is sent of the rows of one call. Used by one thread.

    A chunk beyond its row's window is held back, and with it all that follows of that row; other rows go on.

    Args:
        channel: Where it goes.
        control: What the parent allows.
    """

    def __init__(self, channel: Channel, control: RowControl) -> None:
        self._channel = channel
        self._control = control
        self._held: dict[int, deque[Chunk | RowOutcome]] = {}

    def holds(self, row: int) -> bool:
        """Tell whether something of a row waits for the parent."""
        return row in self._held

    @property
    def empty(self) -> bool:
        """Whether everything was sent."""
        return not self._held

    def ready(self) -> bool:
        """Tell whether something that was held back can be sent now."""
        return any(self._control.has_credit(row) or self._control.is_cancelled(row) for row in self._held)

    def chunk(self, row: int, chunk: Chunk) -> None:
        """Send a chunk of a row, or hold it back.

        Raises:
            StageError: It is too large to be sent. ChannelClosed: the parent is gone.
        """
        self._pass(row, chunk)

    def end(self, outcome: RowOutcome) -> None:
        """Send the end of a row behind its chunks; those of a cancelled row are dropped. Raises as `chunk`."""
        self._pass(outcome.row, outcome)

    def flush(self) -> None:
        """Send what can be sent by now. Raises as `chunk`."""
        for row in list(self._held):
            held = self._held[row]
            while held and self._sent(row, held[0]):
                held.popleft()
            if not held:
                del self._held[row]

    def _pass(self, row: int, item: Chunk | RowOutcome) -> None:
        self._held.setdefault(row, deque()).append(item)
        self.flush()

    def _sent(self, row: int, item: Chunk | RowOutcome) -> bool:
        """Send a chunk or an end, or drop a chunk that nobody wants; False when it has to wait."""
        if isinstance(item, RowOutcome):
            self._control.end(row)
            self._channel.send(Kind.OUTCOME, _checked(item))
        elif not self._control.is_cancelled(row):
            if not self._control.spend(row):
                return False
            self._send_chunk(row, item)
        return True

    def _send_chunk(self, row: int, chunk: Chunk) -> None:
        try:
            self._channel.send(Kind.CHUNK, to_json(ChunkMessage.of(row, chunk)), samples_to_bytes(chunk.samples))
        except ChannelFault as error:
            raise StageError("generate", error) from error


def _checked(outcome: RowOutcome) -> dict[str, object]:
    """Return the content of an end's frame; one that the parent would refuse is told as the row's failure."""
    try:
        return outgoing(outcome)
    except ValueError as error:
        return outgoing(RowOutcome(outcome.row, error=ErrorMessage.of(error)))
