"""Queues the steps of rows that come and go, and reads what they drew."""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.rows import row_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.accel.decoder.loop_graphs import LoopGraphs
    from realtts.accel.decoder.places import Places, PlaceTable
    from realtts.accel.decoder.progress import Snapshot
    from realtts.accel.decoder.rows import Row, RowBlock
    from realtts.accel.decoder.stepping import Stepping

__all__ = ["StepQueue", "row_counts", "sync_interval"]


class StepQueue:
    """Steps that were queued, and what they drew on its way to the host.

    Args:
        steps: Decoder, cache and sampler.
        table: Tensors with row numbers.
        graphs: Runs steps.
        check_every: Most steps queued at once.

    Attributes:
        check_every: As given.
        steps: Steps so far.
        row_steps: Rows in all of them together.
    """

    def __init__(self, steps: Stepping, table: PlaceTable, graphs: LoopGraphs, check_every: int) -> None:
        self._stepping, self._table, self._graphs, self.check_every = steps, table, graphs, check_every
        self._waiting: deque[tuple[list[Row], Snapshot]] = deque()
        self.steps = self.row_steps = 0

    @property
    def graphs(self) -> list[object]:
        """Keys of the captured steps."""
        return self._graphs.keys

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, rows: Sequence[Row], *, joined: bool, most: int | None = None) -> bool:
        """Queue some steps of the rows that run.

        Args:
            rows: All that have a place.
            joined: Whether one of them has just drawn its first token.
            most: Most steps; None: ``check_every``.

        Returns:
            Whether there is something new to be read.
        """
        running = sorted((row for row in rows if row.runs), key=lambda row: row.stream)
        left = max((row.admission.most - row.drawn for row in running), default=0)
        if not running or (left <= 0 and not joined):
            return False
        places = self._table.of([row.stream for row in running])
        self._stepping.place(places)
        steps = min(self.check_every, self.check_every if most is None else most, left)
        for _ in range(steps):
            self._step(running, places)
        # A row that has joined has drawn one token more.
        snapshot = self._stepping.snapshot(steps + joined, steps, places)
        self._waiting.append((running, snapshot))
        return True

    def pop(self) -> list[RowBlock]:
        """Wait for the oldest steps that were not read and return what they drew, of rows that are still wanted."""
        rows, snapshot = self._waiting.popleft()
        exact, writes = self._stepping.decoder.precision.is_exact, self._stepping.outputs is not None
        blocks = []
        for row, block in zip(rows, row_blocks(rows, snapshot, exact=exact, writes=writes), strict=True):
            if not (row.gone or row.ended):
                row.ended, row.broken = block.end is not None, block.end == "broken"
                blocks.append(block)
        return blocks

    def capture(self, attended: int, places: int) -> None:
        """Capture the steps of all numbers of rows up to so many, for one attended length."""
        for size in row_counts(places):
            at = self._table.of(range(size))
            self._stepping.place(at)
            self._run(attended, at)

    def _step(self, running: Sequence[Row], places: Places) -> None:
        going = [row for row in running if row.drawn < row.admission.most]
        slots = [number for row in going for number in self._stepping.rows_of(row.stream)]
        attended = self._stepping.cache.advance(self._stepping.buckets, places, slots)
        if isinstance(attended, int):
            self._run(attended, places)
        else:
            self._stepping.advance(attended, places)
        for row in going:
            row.drawn += 1
        self.steps += 1
        self.row_steps += len(going)

    def _run(self, attended: int, places: Places) -> None:
        key = (len(places.streams), attended)
        self._graphs.run(key, functools.partial(self._stepping.advance, attended, places))


def row_counts(places: int) -> list[int]:
    """Return the numbers of rows that there are graphs for: powers of two, and all places."""
    return sorted({min(places, 1 << n) for n in range(places.bit_length() + 1)})


def sync_interval(device: torch.device | str, steps: int = 8) -> int:
    """Return the steps between two synchronisations: one on the CPU, where they are free; else ``steps``."""
    return 1 if torch.device(device).type == "cpu" else steps
