"""The randomness of a request: one generator for both networks, so that it is drawn in upstream's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.accel.sampling import PlacedGenerators

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Generator, Tensor

__all__ = ["SharedNoise"]


class SharedNoise:
    """The noise of one of several samplers that draw from the same generators; a `NoiseSource`.

    Upstream draws nothing where it takes the most probable code. A row that is greedy leaves its generator alone, so
    that its other sampler, which may draw, meets the same noise as in upstream's code and as alone.

    Args:
        source: The generators.
        rows: Number of rows.

    Attributes:
        state: Nothing but the generators has a state.
        drawing: Whether each row draws. A captured step depends on it.
    """

    def __init__(self, source: PlacedGenerators, rows: int) -> None:
        self._source = source
        self._placed = list(range(rows))
        self.state: tuple[Tensor, ...] = ()
        self.drawing = [True] * rows

    @classmethod
    def pair(cls, rows: int, device: torch.device) -> tuple[SharedNoise, SharedNoise]:
        """Make the noise of two samplers with so many rows."""
        source = PlacedGenerators(rows, device)
        return cls(source, rows), cls(source, rows)

    @property
    def generators(self) -> Sequence[Generator]:
        """Generators of the places, the same in both samplers."""
        return self._source.generators

    @property
    def placed_drawing(self) -> tuple[bool, ...]:
        """Whether the row of each place draws."""
        return tuple(self.drawing[row] for row in self._placed)

    def fill(self, buffer: Tensor) -> None:
        """Fill the rows that draw, each from its own generator; buffer (rows, vocabulary)."""
        for values, generator, draws in zip(buffer, self.generators, self.placed_drawing, strict=False):
            if draws:
                values.exponential_(generator=generator)

    def reseed(self, row: int, seed: int) -> None:
        """Seed a row's generator, for all samplers that share it."""
        self._source.reseed(row, seed)

    def place(self, rows: Sequence[int], index: Tensor) -> None:
        """Draw for these rows, whose generators move for all samplers that share them."""
        self._placed = list(rows)
        self._source.place(rows)
