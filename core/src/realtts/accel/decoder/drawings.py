"""The prompts that a running batch draws tokens for, and the places of the row loop that they have."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.accel.decoder.admission import Admission
    from realtts.accel.decoder.rows import RowBlock
    from realtts.accel.decoder.served import ServedLoop
    from realtts.contract.continuous import Arrival
    from realtts.contract.types import Request

    Take = Callable[[RowBlock], None]

__all__ = ["Drawing", "Drawings", "ServedRow"]


class ServedRow:
    """A request in a running batch.

    Attributes:
        number: Its number in what `generate_continuous` yields.
        request: What to speak.
    """

    def __init__(self, arrival: Arrival, drawings: Drawings) -> None:
        self.number = arrival.number
        self.request: Request = arrival.request
        self._drawings = drawings

    def decode(self, admission: Admission, take: Take) -> Drawing:
        """Draw tokens of a prompt, beside those that are drawn for the request already.

        The first one has its place at once. Further ones get a place when no other request waits for one, and as long
        as the request has less than half of them.

        Args:
            admission: The prompt, and how it is drawn.
            take: Called with each block of its tokens, between two steps. The place is free behind the block with the
                end, unless it is drawn anew from there.

        Returns:
            The drawing, to draw it anew or to stop it.
        """
        return self._drawings.add(Drawing(self, admission, take, self._drawings))


class Drawing:
    """One prompt whose tokens are drawn.

    Attributes:
        row: Whose it is.
        admission: The prompt, and how it is drawn.
        take: Called with each block of its tokens.
        number: Its number in the row loop; None while it has no place.
        ended: Whether its last block has come, or it was stopped.
    """

    def __init__(self, row: ServedRow, admission: Admission, take: Take, drawings: Drawings) -> None:
        self.row, self.admission, self.take = row, admission, take
        self.number: int | None = None
        self.ended = False
        self._drawings = drawings

    def stop(self) -> None:
        """Draw no more of it; nothing comes of it any more."""
        self.ended = True
        self._drawings.remove(self)

    def redraw(self, *, seed: int) -> None:
        """Draw it anew with another seed, also after its end.

        The prompt is read again only where its place was free already.
        """
        self._drawings.redraw(self, seed=seed)


class Drawings:
    """All drawings of a row loop that have a place or wait for one.

    Args:
        loop: The loop, without a row.
    """

    def __init__(self, loop: ServedLoop) -> None:
        self._loop = loop
        self._numbers = itertools.count()
        self._placed: dict[int, Drawing] = {}
        self._waiting: list[Drawing] = []

    def add(self, drawing: Drawing) -> Drawing:
        """Let a drawing wait for a place."""
        self._waiting.append(drawing)
        return drawing

    def remove(self, drawing: Drawing) -> None:
        """Free a drawing's place, or let it wait no longer."""
        number, drawing.number = drawing.number, None
        if drawing in self._waiting:
            self._waiting.remove(drawing)
        if number is not None:
            del self._placed[number]
            self._loop.release(number)

    def redraw(self, drawing: Drawing, *, seed: int) -> None:
        """Draw anew what has a place, or else let it wait for one."""
        drawing.admission = replace(drawing.admission, seed=seed)
        drawing.ended = False
        if drawing.number is not None:
            self._loop.redraw(drawing.number, seed=seed)
        elif drawing not in self._waiting:
            self._waiting.append(drawing)

    def of(self, number: int) -> Drawing | None:
        """Return the drawing that has a number in the loop."""
        return self._placed.get(number)

    def has(self, row: ServedRow) -> bool:
        """Tell whether anything is drawn for a request, or waits to be."""
        return any(drawing.row is row for drawing in (*self._placed.values(), *self._waiting))

    def drop(self, row: ServedRow) -> None:
        """Stop all drawings of a request."""
        for drawing in [each for each in (*self._placed.values(), *self._waiting) if each.row is row]:
            drawing.stop()

    def rows(self) -> frozenset[int]:
        """Return the numbers of the requests that have a place."""
        return frozenset(drawing.row.number for drawing in self._placed.values())

    def next(self, *, further: bool) -> Drawing | None:
        """Return the drawing that gets the next free place.

        Args:
            further: Whether it may be one of a request that has a place already.
        """
        if not self._loop.free:
            return None
        held = [drawing.row.number for drawing in self._placed.values()]
        share = max(1, self._loop.places // 2) if further else 1
        fitting = [drawing for drawing in self._waiting if held.count(drawing.row.number) < share]
        return min(fitting, key=lambda drawing: held.count(drawing.row.number), default=None)

    @property
    def starved(self) -> int:
        """Requests that have no place and wait for one."""
        placed = self.rows()
        return len({each.row.number for each in self._waiting if each.row.number not in placed})

    def place(self, drawing: Drawing) -> None:
        """Give a drawing a place.

        Raises:
            RealTTSError: As `realtts.accel.decoder.RowLoop.admit`; it waits no longer then.
        """
        self._waiting.remove(drawing)
        number = next(self._numbers)
        self._loop.admit(number, drawing.admission)
        drawing.number = number
        self._placed[number] = drawing

    def hand(self, drawing: Drawing, block: RowBlock) -> None:
        """Give a drawing a block of its tokens, and free its place behind the last one."""
        drawing.ended = block.end is not None
        drawing.take(block)
        if drawing.ended:
            self.remove(drawing)
