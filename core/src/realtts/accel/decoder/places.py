"""Which rows a step works on: their numbers on the host and on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["PlaceTable", "Places", "Run"]


@dataclass(frozen=True)
class Run:
    """Neighbouring rows of a cache that attend equally far, so that one call serves them without a copy.

    Attributes:
        begin: Place of the first one in the step.
        row: Its number in the cache.
        count: Number of rows.
        attended: Slots.
    """

    begin: int
    row: int
    count: int
    attended: int


@dataclass(frozen=True)
class Places:
    """The rows of a step, in order.

    Attributes:
        streams: Numbers of the streams; of those beyond `counted`, which fill up a step, the spare one's.
        counted: How many of the first ones count.
        index: The same numbers on the device, int64 (n,).
        rows: Numbers of the cache's rows on the device, int64 (n,) or, with guidance, (2 n,).
        numbers: The same on the host.
        apart: Whether attention looks at each row where it lies and only as far as that row needs; else all rows are
            gathered and look equally far, as a graph must.
    """

    streams: tuple[int, ...]
    counted: int
    index: Tensor
    rows: Tensor
    numbers: tuple[int, ...]
    apart: bool

    def runs(self, attended: Sequence[int]) -> tuple[Run, ...]:
        """Join neighbouring rows; ``attended`` says how far each row of the cache looks."""
        runs: list[Run] = []
        for place, (row, far) in enumerate(zip(self.numbers, attended, strict=True)):
            last = runs[-1] if runs else None
            if last is not None and last.row + last.count == row and last.attended == far:
                runs[-1] = Run(last.begin, last.row, last.count + 1, far)
            else:
                runs.append(Run(place, row, 1, far))
        return tuple(runs)


class PlaceTable:
    """The tensors with row numbers, made once for each number of places, so that a graph may hold them.

    Args:
        device: Of the cache whose rows are numbered.
        streams: Number of streams, the spare one included, which is the last.
        guided: Whether a stream has two rows: all first ones, then all second ones.
        sizes: Numbers of places that there are steps for; a step of fewer rows is filled up. None: any number.
    """

    def __init__(self, device: torch.device, streams: int, *, guided: bool, sizes: Sequence[int] | None = None) -> None:
        self._streams, self._guided, self._sizes = streams, guided, None if sizes is None else sorted(sizes)
        self._device = device
        self._apart = device.type == "cpu" and sizes is None
        self._written: dict[int, list[int]] = {}
        self._tensors: dict[int, Tensor] = {}
        for size in self._sizes or ():  # before anything is captured
            self._make(size)

    def of(self, streams: Sequence[int]) -> Places:
        """Return the places of some streams, at least one, filled up to the next size."""
        size = len(streams) if self._sizes is None else next(n for n in self._sizes if n >= len(streams))
        numbers = [*streams, *[self._streams - 1] * (size - len(streams))]
        if size not in self._tensors:
            self._make(size)
        tensor, written = self._tensors[size], self._written[size]
        for place, number in enumerate(numbers):
            if written[place] != number:  # as numbers, because a copy from the host would wait for the device
                tensor[:2, place] = number
                if self._guided:
                    tensor[2, place] = number + self._streams
        self._written[size] = numbers
        rows = [*numbers, *(number + self._streams for number in numbers)] if self._guided else numbers
        rows_index = tensor[1:].flatten()  # a view, as `index` is: a graph holds both
        return Places(tuple(numbers), len(streams), tensor[0], rows_index, tuple(rows), self._apart)

    def _make(self, size: int) -> None:
        with torch.inference_mode(mode=False):  # or they could not be changed outside of it
            tensor = torch.full(
                (3 if self._guided else 2, size), self._streams - 1, dtype=torch.int64, device=self._device
            )
        if self._guided:
            tensor[2].fill_(2 * self._streams - 1)
        self._tensors[size], self._written[size] = tensor, [self._streams - 1] * size
