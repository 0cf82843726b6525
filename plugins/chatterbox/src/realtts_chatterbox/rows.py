"""T3's loops of rows as one: utterances with guidance and those without have loops of their own, made when needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.accel.decoder import Admission, Decoder, RowBlock, RowLoop
    from realtts.accel.kernels import PackedLinear

__all__ = ["SLOTS", "Rows"]

SLOTS = 2048
"""Cache slots of a place: what 300 characters, the longest piece, may take where a character is said in a fifth of a
second. Memory of the CPU that no row has reached is not taken. On CUDA in bfloat16 a place takes 504 MB with guidance,
201 MB of Turbo."""

_ROUNDING = 128
"""The slots of a longer loop are a multiple of this."""


class Rows:
    """The rows of T3, as `realtts.accel.decoder.serve_rows` takes a row loop.

    A row with guidance has two rows of the cache, so that its loop does twice the work; who has none does not pay for
    it. A row that needs more slots than its loop has waits until that is empty, see `reserve`.

    Args:
        decoder: The network.
        make: Makes the loop of rows that are guided or not, of so many slots each.
        places: Most rows at once.
        most_slots: Most slots of a row.
        captures: Whether loops capture graphs, which go with them.

    Attributes:
        decoder: The network.
        places: Most rows at once.
        queue: Counts the steps, and the rows in them.
        reader: Counts the positions of prompts.
    """

    def __init__(
        self,
        decoder: Decoder,
        make: Callable[[bool, int], RowLoop],
        *,
        places: int,
        most_slots: int,
        captures: bool,
    ) -> None:
        self.decoder, self.places = decoder, places
        self._make, self._most_slots, self._captures = make, most_slots, captures
        self._loops: dict[bool, RowLoop] = {}
        self._crowded = False  # several rows have been there at once
        self._waiting: set[int] = set()  # numbers of those who wait for an empty loop
        self.queue, self.reader = _Steps(), _Reading()

    # -- as a row loop -----------------------------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """Places that are left."""
        return self.places - len(self.numbers)

    @property
    def numbers(self) -> list[int]:
        """Numbers of the rows that have a place."""
        return [number for loop in self._loops.values() for number in loop.numbers]

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return any(loop.busy for loop in self._loops.values())

    def admit(self, number: int, admission: Admission) -> int:
        """Give a row a place, as `RowLoop.admit`; it is guided if its prompt has two rows."""
        guides = len(admission.prompt) == 2
        before = 0 if admission.prefix is None else admission.prefix[1]
        self._fit(before + admission.prompt.shape[1] + admission.most, guides=guides)
        place = self._loops[guides].admit(number, admission)
        self._crowded = self._crowded or len(self.numbers) > 1
        return place

    def redraw(self, number: int, *, seed: int) -> None:
        """Draw a row anew, as `RowLoop.redraw`."""
        self._of(number).redraw(number, seed=seed)

    def release(self, number: int) -> None:
        """Take a row's place away, as `RowLoop.release`."""
        self._of(number).release(number)

    def step(self, *, ahead: bool = True) -> list[RowBlock]:
        """Make a step of all rows, as `RowLoop.step`; those with guidance and those without, one after the other."""
        return [block for loop in self._loops.values() if loop.busy for block in self._counted(loop, ahead=ahead)]

    def _counted(self, loop: RowLoop, *, ahead: bool) -> list[RowBlock]:
        queue, reader = loop.queue, loop.reader
        steps, row_steps, positions, seconds = queue.steps, queue.row_steps, reader.positions, reader.seconds
        blocks = loop.step(ahead=ahead)
        self.queue.steps += queue.steps - steps
        self.queue.row_steps += queue.row_steps - row_steps
        if reader.positions > positions:
            self.reader.positions += reader.positions - positions
            self.reader.seconds += reader.seconds - seconds
            self.reader.latest = reader.latest
        return blocks

    def cost(self, head: PackedLinear, rows: int) -> tuple[int, int]:
        """Return the operations and the bytes, at least, of a step of so many rows; of guided ones, if there are."""
        guides, loop = max(self._loops.items(), key=lambda entry: (entry[1].busy, entry[0]))
        return self.decoder.step_cost(head, loop.cache, rows * (2 if guides else 1))

    # -- loops -------------------------------------------------------------------------------------------------------

    def reserve(self, number: int, slots: int, *, guides: bool) -> bool:
        """Make sure that a row with so many slots fits the loop, made anew if that is empty and too short.

        Args:
            number: Whose row it is, for `waits` and `give_up`.
            slots: Of its prompt and its tokens.
            guides: Whether it is guided.

        Returns:
            Whether it fits; if not, ask again when rows have left.
        """
        fits = self._fit(slots, guides=guides)
        (self._waiting.discard if fits else self._waiting.add)(number)
        return fits

    def _fit(self, slots: int, *, guides: bool) -> bool:
        slots = min(slots, self._most_slots)  # what is longer is refused when it is admitted
        loop = self._loops.get(guides)
        if loop is None or (loop.cache.cap < slots and not loop.numbers):
            self._loops.pop(guides, None)
            del loop  # or its cache would be in memory beside the new one
            cap = -(-max(slots, SLOTS) // _ROUNDING) * _ROUNDING
            loop = self._loops[guides] = self._make(guides, min(cap, self._most_slots))
        return loop.cache.cap >= slots

    @property
    def waits(self) -> bool:
        """Whether a row waits for an empty loop, so that nobody else should join."""
        return bool(self._waiting)

    def give_up(self, number: int) -> None:
        """Wait for an empty loop no more."""
        self._waiting.discard(number)

    def loop(self, *, guides: bool) -> RowLoop:
        """Return the loop of those that are guided or are not."""
        self._fit(1, guides=guides)
        return self._loops[guides]

    def trim(self) -> None:
        """Free the memory that several rows needed and a single one does not; loops with graphs keep theirs."""
        if self._crowded and not (self._captures or self.numbers):
            self._loops.clear()
            self._crowded = False

    def _of(self, number: int) -> RowLoop:
        return next(loop for loop in self._loops.values() if number in loop.numbers)


@dataclass
class _Steps:
    """Steps so far, and the rows in all of them together."""

    steps: int = 0
    row_steps: int = 0


@dataclass
class _Reading:
    """Positions of prompts that were read so far, the seconds that it took, and whose the last ones were."""

    positions: int = 0
    seconds: float = 0.0
    latest: int = -1
