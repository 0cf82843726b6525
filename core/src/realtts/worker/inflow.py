"""What a parent sends, between the thread that reads it and the one that works on it."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from realtts.contract.types import Voice
from realtts.wire.channel import ChannelFault
from realtts.wire.messages import VOICES_KEPT
from realtts.wire.reading import Cancel, Credit, End
from realtts.wire.rows import RowMessage

if TYPE_CHECKING:
    from realtts.wire.calls import Call, Speak

__all__ = ["Inflow", "Recordings", "RowControl"]


class RowControl:
    """What the parent says of the rows of a call while it runs: credit, cancellations, the end.

    Args:
        changed: Notified of every change; guards everything here.
        call: The call; None: one that has no rows.
    """

    def __init__(self, changed: threading.Condition, call: Speak | None = None) -> None:
        self.ended = False
        self._changed = changed
        self._call = call
        self._came = 0
        self._credit: dict[int, int] = {}  # of the rows that are not over
        self._cancelled: set[int] = set()

    def begin(self, row: int) -> None:
        """Expect a row.

        Raises:
            ChannelFault: No row may come, or one of that number is there.
        """
        with self._changed:
            if self._call is None or (not self._call.joins and self._came == self._call.rows) or row in self._credit:
                raise ChannelFault(f"a row {row} that cannot join")
            self._came += 1
            self._credit[row] = self._call.window

    def apply(self, message: Credit | Cancel | End) -> None:
        """Take over what the parent says; of rows that are over nothing."""
        with self._changed:
            match message:
                case Credit():
                    if message.row in self._credit:
                        self._credit[message.row] += message.chunks
                case Cancel():
                    self._cancelled.update(self._credit.keys() & set(message.rows))
                case End():
                    self.ended = True
            self._changed.notify_all()

    def is_cancelled(self, row: int) -> bool:
        """Tell whether nobody wants a row any more."""
        return self.ended or row in self._cancelled

    def has_credit(self, row: int) -> bool:
        """Tell whether a chunk of a row may be sent."""
        with self._changed:
            return self._credit.get(row, 0) > 0

    def spend(self, row: int) -> bool:
        """Use up the credit of one chunk; False when there is none."""
        with self._changed:
            if not self.has_credit(row):
                return False
            self._credit[row] -= 1
            return True

    def end(self, row: int) -> None:
        """Forget a row, which is over."""
        with self._changed:
            self._credit.pop(row, None)
            self._cancelled.discard(row)


class Inflow:
    """Messages in the order of their coming.

    Attributes:
        changed: Notified of every message.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._messages: deque[tuple[Call | RowMessage | Voice, RowControl]] = deque()

    def put(self, message: Call | RowMessage | Voice, control: RowControl) -> None:
        """Add a message of a call, or of the one before when it is a recording."""
        with self.changed:
            self._messages.append((message, control))
            self.changed.notify_all()

    def take(self) -> tuple[Call | RowMessage | Voice, RowControl]:
        """Wait for the next message, and return it with the control of its call."""
        with self.changed:
            self.changed.wait_for(lambda: bool(self._messages))
            return self._messages.popleft()

    def has_rows(self) -> bool:
        """Tell whether rows or recordings are next."""
        with self.changed:
            return bool(self._messages) and isinstance(self._messages[0][0], (RowMessage, Voice))

    def take_rows(self) -> list[RowMessage | Voice]:
        """Return the rows and recordings that are next, without waiting."""
        taken: list[RowMessage | Voice] = []
        with self.changed:
            while self._messages:
                message, _ = self._messages[0]
                if not isinstance(message, (RowMessage, Voice)):
                    break
                taken.append(message)
                self._messages.popleft()
        return taken


class Recordings:
    """Recordings that a worker keeps, so that the samples of each are sent once."""

    def __init__(self) -> None:
        self._voices: dict[str, Voice] = {}

    def keep(self, voice: Voice) -> None:
        """Keep one as the most recently used; the parent drops the same ones."""
        self._voices.pop(voice.digest, None)
        self._voices[voice.digest] = voice
        if len(self._voices) > VOICES_KEPT:
            del self._voices[next(iter(self._voices))]

    def find(self, digest: str) -> Voice | None:
        """Return a recording, which has been used just now; None: it is not there."""
        voice = self._voices.get(digest)
        if voice is not None:
            self.keep(voice)
        return voice
