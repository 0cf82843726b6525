"""Sources of the exponential noise of a draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from realtts.accel.indexed import select
from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

__all__ = ["GeneratorNoise", "HashedNoise", "NoiseSource", "PlacedGenerators", "RecordedNoise"]

_STEP, _TOKEN = 0x9E3779B97F4A7C15 - 2**64, 0xD1B54A32D192ED03 - 2**64
_ROUNDS = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))
"""Of SplitMix64 (Steele, Lea and Flood, 2014, doi:10.1145/2660193.2660195), as torch's signed numbers."""


class NoiseSource(Protocol):
    """A source that fills a buffer (rows, width) with float32 exponential noise of rate 1, without a wait."""

    def fill(self, buffer: Tensor) -> None:
        """Fill the buffer with the next draw's noise."""

    def reseed(self, row: int, seed: int) -> None:
        """Start a row anew."""

    def place(self, rows: Sequence[int], index: Tensor) -> None:
        """Fill for these rows from now on, in this order.

        Args:
            rows: Their numbers. One that comes twice fills up a step; what it draws does not count.
            index: The same, int64 (n,) on the device. A graph may hold it: for so many rows it is always this tensor.
        """

    @property
    def generators(self) -> Sequence[Generator]:
        """Generators that a graph must register."""

    @property
    def state(self) -> Sequence[Tensor]:
        """Tensors that move on with each draw, beside the generators."""


class PlacedGenerators:
    """One generator for each place of a step, with the states of all rows, of which some have a place.

    A graph holds the generators of the places that it was captured with, so a row does not take its generator with
    it: its state is moved. That happens on the host, and only when a row comes, goes or changes its place.

    Args:
        rows: Number of rows, and of places.
        device: Device of the generators.

    Attributes:
        generators: Of the places. At first every row has the place of its number.
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.generators: tuple[Generator, ...] = tuple(torch.Generator(device) for _ in range(rows))
        self._placed = list(range(rows))
        self._waiting: dict[int, Tensor] = {}
        self._scratch = torch.Generator(device)

    def place(self, rows: Sequence[int]) -> None:
        """Give the first places to these rows, in this order; the others wait."""
        if list(rows) == self._placed:
            return
        for place, row in enumerate(self._placed):
            if place >= len(rows) or rows[place] != row:
                self._waiting[row] = self.generators[place].get_state()
        for place, row in enumerate(rows):
            moved = place >= len(self._placed) or self._placed[place] != row
            if moved and row in self._waiting:  # a row that only fills up may stand in two places, and never wait
                self.generators[place].set_state(self._waiting[row])
        self._placed = list(rows)

    def reseed(self, row: int, seed: int) -> None:
        """Seed a row's generator."""
        if row in self._placed:
            self.generators[self._placed.index(row)].manual_seed(seed)
        else:
            self._waiting[row] = self._scratch.manual_seed(seed).get_state()


class GeneratorNoise:
    """One generator per row, so that a row draws the same whatever stands beside it.

    Args:
        rows: Number of rows.
        device: Device of the buffer.
        source: The generators, where several samplers draw from the same; default: its own.
    """

    def __init__(self, rows: int, device: torch.device, *, source: PlacedGenerators | None = None) -> None:
        self._source = source or PlacedGenerators(rows, device)
        self.state: tuple[Tensor, ...] = ()

    @property
    def generators(self) -> Sequence[Generator]:
        """Generators of the places."""
        return self._source.generators

    def fill(self, buffer: Tensor) -> None:
        """Fill each row from its own generator."""
        for row, generator in zip(buffer, self.generators, strict=False):
            row.exponential_(generator=generator)

    def reseed(self, row: int, seed: int) -> None:
        """Seed a row's generator."""
        self._source.reseed(row, seed)

    def place(self, rows: Sequence[int], index: Tensor) -> None:  # noqa: ARG002 - the signature of NoiseSource
        """Move the generators' states to the places of these rows."""
        self._source.place(rows)


class RecordedNoise:
    """Noise recorded elsewhere, one slice after the other; the last one again when they have run out.

    Args:
        values: float32 of shape (draws, rows, width), on the device of the sampler.
    """

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._next = torch.zeros(values.shape[1], dtype=torch.int64, device=values.device)
        self._index = torch.arange(values.shape[1], device=values.device)
        self.generators: tuple[Generator, ...] = ()
        self.state: tuple[Tensor, ...] = (self._next,)

    def fill(self, buffer: Tensor) -> None:
        """Copy each row's next slice.

        Raises:
            InvalidOption: It has another shape than the buffer.
        """
        shape = (len(self._index), self._values.shape[2])
        if shape != buffer.shape:
            raise InvalidOption(f"slices of {shape}", who="recorded noise", fix=f"give {tuple(buffer.shape)}")
        draw = self._next.index_select(0, self._index)
        buffer.copy_(self._values[draw, self._index])
        self._next.index_copy_(0, self._index, (draw + 1).clamp_(max=self._values.shape[0] - 1))

    def reseed(self, row: int, seed: int) -> None:  # noqa: ARG002 - the signature of NoiseSource
        """Start a row from its first slice again."""
        self._next[row] = 0

    def place(self, rows: Sequence[int], index: Tensor) -> None:  # noqa: ARG002 - the signature of NoiseSource
        """Copy the slices of these rows."""
        self._index = index


class HashedNoise:
    """Noise computed from seed, step and token, and so only for the tokens that may be drawn.

    For a large vocabulary of which ``top_k`` leaves some dozen tokens it is a thousandth of a generator's work. It is
    another sequence than any generator's: to equal a reference, use `GeneratorNoise`.

    Args:
        rows: Number of rows.
        device: Where it lies.
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self._seeds = torch.zeros(rows, 1, dtype=torch.int64, device=device)
        self._index: Tensor | None = None
        self._double = torch.float32 if device.type == "mps" else torch.float64
        self.generators: tuple[Generator, ...] = ()
        self.state: tuple[Tensor, ...] = ()

    @property
    def seeds(self) -> Tensor:
        """Seeds of all rows, int64 (rows, 1)."""
        return self._seeds

    def at(self, step: Tensor, tokens: Tensor) -> Tensor:
        """Compute exponential noise of rate 1.

        Args:
            step: int64 (rows,).
            tokens: int64 (rows, n) or (n,).

        Returns:
            float32 (rows, n).
        """
        mixed = _mixed(_mixed(select(self._seeds, self._index) + step[:, None] * _STEP) + tokens * _TOKEN)
        # The middle of 53-bit steps, so that it is neither 0 nor 1, whose logarithms no draw survives.
        uniform = (_right(mixed, 11).to(self._double) + 0.5) * 2.0**-53
        noise: Tensor = torch.log1p(-uniform).neg_().float()
        return noise

    def reseed(self, row: int, seed: int) -> None:
        """Start a row anew."""
        self._seeds[row] = seed

    def place(self, rows: Sequence[int], index: Tensor) -> None:  # noqa: ARG002 - the signature of NoiseSource
        """Compute for these rows."""
        self._index = index


def _mixed(x: Tensor) -> Tensor:
    """Mix the bits, so that every bit of the result depends on every bit of the input."""
    for shift, factor in _ROUNDS:
        x = (x ^ _right(x, shift)) * factor
    return x ^ _right(x, 31)


def _right(x: Tensor, bits: int) -> Tensor:
    """Shift to the right and fill with zeros: torch's own shift repeats the sign."""
    mask: int = 2 ** (64 - bits) - 1
    return (x >> bits) & mask
