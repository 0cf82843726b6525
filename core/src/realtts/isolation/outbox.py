"""What a parent sends to a worker: calls, recordings once, and cancellations of the rows that it works on."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from realtts.wire.channel import ChannelClosed, Kind
from realtts.wire.messages import VOICES_KEPT, VoiceMessage, samples_to_bytes, to_json
from realtts.wire.reading import Cancel

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.types import Request, Voice
    from realtts.wire.channel import Channel

__all__ = ["Outbox"]


class Outbox:
    """Messages to one worker. Used by one thread at a time.

    Args:
        channel: Where they go.
        waiting: Called with the seconds so far while the worker does not read; raises to stop.
    """

    def __init__(self, channel: Channel, waiting: Callable[[float], None]) -> None:
        self._channel = channel
        self._waiting = waiting
        self._sent_voices: dict[str, None] = {}
        self._rows: dict[int, Callable[[], bool]] = {}  # row that is spoken -> whether it is cancelled
        self._cancelled: set[int] = set()  # rows whose cancellation was sent

    def watch(self, row: int, request: Request) -> None:
        """Watch whether a row is cancelled."""
        self._rows[row] = request.cancelled

    def forget(self, row: int) -> None:
        """Watch a row no more."""
        self._rows.pop(row, None)
        self._cancelled.discard(row)

    def clear(self) -> None:
        """Watch nothing."""
        self._rows.clear()
        self._cancelled.clear()

    def send(self, kind: Kind, message: Any, data: memoryview | bytes = b"") -> None:
        """Send a message.

        Raises:
            ChannelClosed: The worker is gone. ChannelFault: the message is too large.
        """
        began = time.monotonic()
        # Nothing else can be sent meanwhile: it would land in the middle of this frame.
        self._channel.send(kind, to_json(message), data, waiting=lambda: self._waiting(time.monotonic() - began))

    def send_voice(self, voice: Voice) -> None:
        """Send a recording unless the worker has it. Raises as `send`."""
        sent = self._sent_voices.pop(voice.digest, "") is None
        self._sent_voices[voice.digest] = None
        if len(self._sent_voices) > VOICES_KEPT:
            del self._sent_voices[next(iter(self._sent_voices))]
        if not sent:
            self.send(Kind.VOICE, VoiceMessage.of(voice), samples_to_bytes(voice.samples))

    def send_cancellations(self) -> tuple[int, ...]:
        """Tell the worker of rows that were cancelled meanwhile, and return them. Raises what ``waiting`` does."""
        rows = tuple(row for row, cancelled in self._rows.items() if row not in self._cancelled and cancelled())
        if rows:
            self._cancelled.update(rows)
            with contextlib.suppress(ChannelClosed):  # what it sent before it ended is read first
                self.send(Kind.CANCEL, Cancel(rows))
        return rows

    def is_unwanted(self) -> bool:
        """Tell whether everything that the worker works on was cancelled."""
        return bool(self._rows) and all(cancelled() for cancelled in self._rows.values())
