"""Reading the prompts of rows that join, a chunk between two steps."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from realtts.accel.decoder.loop_graphs import LoopGraphs
    from realtts.accel.decoder.places import Places, PlaceTable
    from realtts.accel.decoder.rows import Row
    from realtts.accel.decoder.stepping import Stepping

__all__ = ["ChunkReader"]


class ChunkReader:
    """Reads prompts in chunks of a fixed number of positions, so that the borders depend on the prompt alone.

    With graphs a chunk is padded to its full length, and its row is a number on the device: one graph for each attended
    length reads any chunk of any row.

    Args:
        steps: Decoder, cache and sampler.
        table: Tensors with row numbers.
        graphs: Runs chunks and first draws.
        chunk: Positions of a chunk.

    Attributes:
        positions: Positions that were read so far.
        seconds: Time that reading them took the host, the first draws included.
        latest: Number of the row that was read last.
    """

    def __init__(self, steps: Stepping, table: PlaceTable, graphs: LoopGraphs, chunk: int) -> None:
        self._steps, self._table, self._graphs, self._chunk = steps, table, graphs, chunk
        self.positions, self.seconds, self.latest = 0, 0.0, -1
        with torch.inference_mode(mode=False):  # or they could not be changed outside of it
            self._x = steps.hidden.new_zeros(steps.per_stream, chunk, steps.hidden.shape[1])
            self._valid = torch.ones(steps.per_stream, chunk, dtype=torch.bool, device=self._x.device)
            self._read = steps.hidden.new_zeros(steps.hidden.shape)

    def next(self, rows: Iterable[Row]) -> bool:
        """Read a chunk of the first row whose prompt is not read, and draw its first token behind the last one.

        Returns:
            Whether it has drawn.
        """
        row = next((row for row in rows if not row.drawn), None)
        if row is None:
            return False
        began = time.perf_counter()
        done = self._read_on(row)
        self.latest, self.seconds = row.number, self.seconds + time.perf_counter() - began
        return done

    def _read_on(self, row: Row) -> bool:
        places = self._table.of([row.stream])
        if row.read < row.length:
            self._read_chunk(row, places)
        if row.read < row.length:
            return False
        self._steps.place(places)
        self._graphs.run("draw", functools.partial(self._draw, places))
        row.drawn = 1
        return True

    def warm_up(self, attended: int) -> None:
        """Capture a chunk of such a length, and the first draw."""
        places = self._table.of([0])
        self._steps.place(places)
        self._steps.cache.reset(places.numbers)
        self._graphs.run(("chunk", attended), functools.partial(self._prefill, attended, places))
        self._graphs.run("draw", functools.partial(self._draw, places))

    def _read_chunk(self, row: Row, places: Places) -> None:
        x = row.admission.prompt[:, row.read : row.read + self._chunk]
        n, cache = x.shape[1], self._steps.cache
        row.read += n
        self.positions += n
        if not self._graphs.enabled:
            hidden = self._steps.decoder.prefill(x, cache, rows=places.numbers)
            self._read.index_copy_(0, places.rows, hidden)
            return
        self._x[:, :n].copy_(x)
        self._x[:, n:].zero_()
        self._valid[:, :n], self._valid[:, n:] = True, False
        for number in places.numbers:
            cache.used[number] += n
        attended = self._steps.buckets.holding(cache.used[places.numbers[0]])
        cache.reach(attended)
        self._steps.place(places)
        self._graphs.run(("chunk", attended), functools.partial(self._prefill, attended, places))

    def _prefill(self, attended: int, places: Places) -> None:
        hidden = self._steps.decoder.prefill(
            self._x, self._steps.cache, valid=self._valid, rows=places.rows, attended=attended
        )
        self._read.index_copy_(0, places.rows, hidden)

    def _draw(self, places: Places) -> None:
        """Draw the first token from what the prompt's last position gave, which is kept to draw it again."""
        hidden: Tensor = self._read.index_select(0, places.rows)
        self._steps.draw(hidden, places)
