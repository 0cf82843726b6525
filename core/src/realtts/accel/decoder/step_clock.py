"""Times the steps of a running batch for the requests that they work for."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from realtts.contract.events import Event
from realtts.contract.stages import StageWork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realtts.accel.decoder.drawings import Drawings
    from realtts.accel.decoder.rows import RowBlock
    from realtts.accel.decoder.served import ServedLoop
    from realtts.contract.context import Context

    Cost = Callable[[int], tuple[int, int]]
    """Operations and bytes of a step of so many rows."""

__all__ = ["StepClock"]


class StepClock:
    """Counts steps as inner stages of the requests that they work for.

    Stages are handed over when requests come or go, not at each step: an event costs more than a small model's step.

    Args:
        context: Where stages are noted.
        stages: Names of the stages of reading prompts and of drawing tokens; may be the same.
        loop: Makes the steps.
        cost: Operations and bytes of a step of so many rows.
    """

    def __init__(self, context: Context, stages: tuple[str, str], loop: ServedLoop, cost: Cost | None) -> None:
        self._context, self._loop, self._cost = context, loop, cost
        self._prefill, self._decode = stages
        self._dtype = loop.decoder.precision.products
        self._rows: frozenset[int] = frozenset()
        self._done: dict[tuple[str, frozenset[int]], StageWork] = {}
        self._longest_step = self._longest_unit = 0.0

    def step(self, drawings: Drawings, *, ahead: bool = True) -> list[RowBlock]:
        """Make a step of the rows that have a place, as `RowLoop.step`."""
        rows = drawings.rows()
        if rows != self._rows:
            self.flush()
            self._rows = rows
        queue, reader, began = self._loop.queue, self._loop.reader, time.perf_counter()
        steps, row_steps, positions, reading = queue.steps, queue.row_steps, reader.positions, reader.seconds
        blocks = self._loop.step(ahead=ahead)
        seconds, reading = time.perf_counter() - began, reader.seconds - reading
        self._longest_step = max(self._longest_step, seconds)
        if reading:
            read = drawings.of(reader.latest)
            of = rows if read is None else frozenset({read.row.number})
            self._add((self._prefill, of), reading, self._read(reader.positions - positions))
        if queue.steps > steps or not reading:
            drawn = self._drawn(queue.steps - steps, queue.row_steps - row_steps)
            self._add((self._decode, rows), seconds - reading, drawn)
        return blocks

    @contextlib.contextmanager
    def unit(self) -> Iterator[None]:
        """Time a unit of a request's speaker; its stages are the speaker's own."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._longest_unit = max(self._longest_unit, time.perf_counter() - began)

    def close(self) -> None:
        """Hand over what was counted, and report how long the others had to wait for one step or unit at most."""
        self.flush()
        longest = {"step_s": self._longest_step, "unit_s": self._longest_unit}
        self._context.report(Event("generate.longest", data=longest))

    def flush(self) -> None:
        """Hand over what was counted since the last time."""
        counted, self._done = self._done, {}
        for (stage, rows), done in counted.items():
            self._context.stages.share(rows, {stage: done})
            about = {"seconds": done.seconds, "steps": done.steps, "bytes": done.bytes, "flops": done.flops}
            self._context.report(Event("generate.stage", data={"stage": stage, **about, "dtype": done.dtype}))

    def _add(self, key: tuple[str, frozenset[int]], seconds: float, work: tuple[int, int, int]) -> None:
        steps, flops, moved = work
        before = self._done.get(key, StageWork(dtype=self._dtype))
        self._done[key] = before + StageWork(seconds, steps, moved, flops, self._dtype)

    def _read(self, positions: int) -> tuple[int, int, int]:
        """Return steps, operations and bytes of a chunk."""
        if self._cost is None or not positions:
            return int(positions > 0), 0, 0
        flops, moved = self._cost(1)
        return 1, flops * positions, moved

    def _drawn(self, steps: int, row_steps: int) -> tuple[int, int, int]:
        """Return steps, operations and bytes of some steps."""
        if self._cost is None or not row_steps:
            return steps, 0, 0
        flops, moved = self._cost(-(-row_steps // steps))
        return steps, flops * steps, moved * steps
