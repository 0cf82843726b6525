"""Where the exponential noise of a draw comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

__all__ = ["GeneratorNoise", "NoiseSource", "RecordedNoise"]


class NoiseSource(Protocol):
    """Fills a buffer of shape (rows, width) with float32 exponential noise of rate 1, in place and without a sync."""

    def fill(self, buffer: Tensor) -> None:
        """Fill the buffer with the next draw's noise."""

    def reseed(self, row: int, seed: int) -> None:
        """Start a row anew."""

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


class RecordedNoise:
    """Noise that was recorded elsewhere, one slice after the other; the last one again when they have run out.

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
