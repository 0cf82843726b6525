"""Sources of the exponential noise of a draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

__all__ = ["GeneratorNoise", "HashedNoise", "NoiseSource", "RecordedNoise"]

_STEP, _TOKEN = 0x9E3779B97F4A7C15 - 2**64, 0xD1B54A32D192ED03 - 2**64
_ROUNDS = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))
"""Of SplitMix64 (Steele, Lea and Flood, 2014, doi:10.1145/2660193.2660195), as torch's signed numbers."""


class NoiseSource(Protocol):
    """A source that fills a buffer (rows, width) with float32 exponential noise of rate 1, without a wait."""

    def fill(self, buffer: Tensor) -> None:
        """Fill the buffer with the next draw's noise."""

    def reseed(self, row: int, seed: int) -> None:
        """Start a row anew."""

    def keep(self, rows: Sequence[int]) -> None:
        """Keep some rows, in this order, and forget the others."""

    @property
    def generators(self) -> Sequence[Generator]:
        """Generators that a graph must register."""

    @property
    def state(self) -> Sequence[Tensor]:
        """Tensors that move on with each draw, beside the generators."""


class GeneratorNoise:
    """One generator per row, so that a row draws the same whatever stands beside it.

    Args:
        rows: Number of rows.
        device: Device of the buffer.
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.generators: tuple[Generator, ...] = tuple(torch.Generator(device) for _ in range(rows))
        self.state: tuple[Tensor, ...] = ()

    def fill(self, buffer: Tensor) -> None:
        """Fill each row from its own generator."""
        for row, generator in zip(buffer, self.generators, strict=True):
            row.exponential_(generator=generator)

    def reseed(self, row: int, seed: int) -> None:
        """Seed a row's generator."""
        self.generators[row].manual_seed(seed)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep the generators of some rows."""
        self.generators = tuple(self.generators[row] for row in rows)


class RecordedNoise:
    """Noise recorded elsewhere, one slice after the other; the last one again when they have run out.

    Args:
        values: float32 of shape (draws, rows, width), on the device of the sampler.
    """

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._next = torch.zeros(1, dtype=torch.int64, device=values.device)
        self.generators: tuple[Generator, ...] = ()
        self.state: tuple[Tensor, ...] = (self._next,)

    def fill(self, buffer: Tensor) -> None:
        """Copy the next slice.

        Raises:
            InvalidOption: It has another shape than the buffer.
        """
        if self._values.shape[1:] != buffer.shape:
            raise InvalidOption(
                f"slices of {tuple(self._values.shape[1:])}", who="recorded noise", fix=f"give {tuple(buffer.shape)}"
            )
        buffer.copy_(self._values.index_select(0, self._next)[0])
        self._next.add_(1).clamp_(max=self._values.shape[0] - 1)

    def reseed(self, row: int, seed: int) -> None:  # noqa: ARG002 - the signature of NoiseSource
        """Start from the first slice again, for all rows."""
        self._next.zero_()

    def keep(self, rows: Sequence[int]) -> None:
        """Keep some rows of all slices."""
        self._values = self._values[:, list(rows)]


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
        self._double = torch.float32 if device.type == "mps" else torch.float64
        self.generators: tuple[Generator, ...] = ()
        self.state: tuple[Tensor, ...] = ()

    def at(self, step: Tensor, tokens: Tensor) -> Tensor:
        """Compute exponential noise of rate 1.

        Args:
            step: int64 (rows,).
            tokens: int64 (rows, n) or (n,).

        Returns:
            float32 (rows, n).
        """
        mixed = _mixed(_mixed(self._seeds + step[:, None] * _STEP) + tokens * _TOKEN)
        # The middle of 53-bit steps, so that it is neither 0 nor 1, whose logarithms no draw survives.
        uniform = (_right(mixed, 11).to(self._double) + 0.5) * 2.0**-53
        noise: Tensor = torch.log1p(-uniform).neg_().float()
        return noise

    def reseed(self, row: int, seed: int) -> None:
        """Start a row anew."""
        self._seeds[row] = seed

    def keep(self, rows: Sequence[int]) -> None:
        """Keep the seeds of some rows."""
        self._seeds = self._seeds[list(rows)]


def _mixed(x: Tensor) -> Tensor:
    """Mix the bits, so that every bit of the result depends on every bit of the input."""
    for shift, factor in _ROUNDS:
        x = (x ^ _right(x, shift)) * factor
    return x ^ _right(x, 31)


def _right(x: Tensor, bits: int) -> Tensor:
    """Shift to the right and fill with zeros: torch's own shift repeats the sign."""
    mask: int = 2 ** (64 - bits) - 1
    return (x >> bits) & mask
