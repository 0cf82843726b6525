"""The randomness of a request: one generator for both networks, so that it is drawn in upstream's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

__all__ = ["SharedNoise"]


class SharedNoise:
    """The noise of one of several samplers that draw from the same generators; a `NoiseSource`.

    Upstream draws nothing where it takes the most probable code. A row that is greedy leaves its generator alone, so
    that its other sampler, which may draw, meets the same noise as in upstream's code and as alone.

    Args:
        generators: One for each row.

    Attributes:
        generators: As given.
        state: Nothing but the generators has a state.
        drawing: Whether each row draws. A captured step depends on it.
    """

    def __init__(self, generators: Sequence[Generator]) -> None:
        self.generators = tuple(generators)
        self.state: tuple[Tensor, ...] = ()
        self.drawing = [True] * len(self.generators)

    @classmethod
    def pair(cls, rows: int, device: torch.device) -> tuple[SharedNoise, SharedNoise]:
        """Make the noise of two samplers with so many rows."""
        generators = [torch.Generator(device) for _ in range(rows)]
        return cls(generators), cls(generators)

    def fill(self, buffer: Tensor) -> None:
        """Fill the rows that draw, each from its own generator; buffer (rows, vocabulary)."""
        for row, generator, draws in zip(buffer, self.generators, self.drawing, strict=True):
            if draws:
                row.exponential_(generator=generator)

    def reseed(self, row: int, seed: int) -> None:
        """Seed a row's generator, for all samplers that share it."""
        self.generators[row].manual_seed(seed)

    def keep(self, rows: Sequence[int]) -> None:
        """Drop the other rows' generators from this sampler."""
        self.generators = tuple(self.generators[row] for row in rows)
        self.drawing = [self.drawing[row] for row in rows]
