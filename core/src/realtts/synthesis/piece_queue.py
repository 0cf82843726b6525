"""Pieces of a text that is still being written, on their way from its writer to the thread that owns the model."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.types import Voice
    from realtts.synthesis.pieces import Piece

__all__ = ["PIECES_AHEAD", "PieceQueue"]

PIECES_AHEAD = 4
"""Pieces that may wait to be spoken; while there are so many, no more text is read."""


class PieceQueue:
    """A bounded queue whose reader never waits.

    Args:
        voice: Of all pieces.

    Attributes:
        voice: Of all pieces.
        error: What ended the text early; it is for the caller, after the audio of what came before.
        stopped: Whether nobody wants more text.
    """

    def __init__(self, voice: Voice | str | None) -> None:
        self.voice = voice
        self.error: BaseException | None = None
        self.stopped = False
        self._complete = False
        self._waiting: deque[Piece] = deque()
        self._changed = threading.Condition()
        self._on_piece: Callable[[], None] | None = None
        self._on_room: list[Callable[[], None]] = []

    # -- for the thread that owns the model ---------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether all pieces were taken and no more will come."""
        with self._changed:
            return self._complete and not self._waiting

    def listen(self, notify: Callable[[], None]) -> None:
        """Call a function when there is a piece, or the end."""
        self._on_piece = notify

    def take(self) -> Piece | None:
        """Return the next piece, None while there is none."""
        with self._changed:
            piece = self._waiting.popleft() if self._waiting else None
        self._wake_writer()
        return piece

    def stop(self) -> None:
        """Want no more text; from any thread."""
        self.stopped = True
        self._wake_writer()

    # -- for the writer -----------------------------------------------------------------------------------------------

    def put(self, pieces: Sequence[Piece]) -> None:
        """Add pieces, however many wait: a sentence may be several."""
        with self._changed:
            self._waiting.extend(pieces)
        self._wake_reader()

    def end(self, error: BaseException | None = None) -> None:
        """Note that no more will come."""
        with self._changed:
            self.error, self._complete = error, True
        self._wake_reader()

    def wait_for_room(self) -> bool:
        """Wait until more text is wanted; False when it never will be."""
        with self._changed:
            self._changed.wait_for(self._may_write)
        return not self.stopped

    def has_room(self, notify: Callable[[], None]) -> bool:
        """Tell whether more text is wanted, or never will be; if not, another thread calls ``notify`` when it may."""
        with self._changed:
            if not self._may_write():
                self._on_room.append(notify)
                return False
        return True

    def _may_write(self) -> bool:
        return self.stopped or len(self._waiting) < PIECES_AHEAD

    def _wake_reader(self) -> None:
        if self._on_piece is not None:
            self._on_piece()

    def _wake_writer(self) -> None:
        with self._changed:
            self._changed.notify_all()
            waiting, self._on_room = self._on_room, []
        for notify in waiting:
            notify()
