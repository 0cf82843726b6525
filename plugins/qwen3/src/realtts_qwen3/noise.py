"""The randomness of a row: one generator for both networks, so that it is drawn in upstream's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.indexed import select
from realtts.accel.sampling import PlacedGenerators

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

__all__ = ["FrameNoise", "NetworkNoise"]


class FrameNoise:
    """The noise of rows whose frames are drawn by two samplers.

    Upstream draws nothing where it takes the most probable code. So a network that is greedy in a row must leave the
    generator alone that the other one draws from. On the host that is a branch. A graph has none: it draws from a
    generator that both share, and from one for each network alone, and takes what the row needs. All of them begin with
    the row's seed.

    Args:
        rows: Number of rows.
        widths: Width of the noise of the talker and of the code predictor.
        device: Where it is drawn.
        graphed: Whether draws are captured.

    Attributes:
        talker: Noise of the first codes.
        predictor: Noise of the others.
    """

    def __init__(self, rows: int, widths: tuple[int, int], device: torch.device, *, graphed: bool) -> None:
        sources = [PlacedGenerators(rows, device) for _ in range(3 if graphed else 1)]
        self._both = torch.ones(rows, 1, dtype=torch.bool, device=device)
        self.talker, self.predictor = (
            NetworkNoise(sources, at if graphed else 0, self._both, torch.empty(rows, width * graphed, device=device))
            for at, width in enumerate(widths, start=1)
        )

    def set(self, row: int, *, talker: bool, predictor: bool) -> None:
        """Say which networks draw in a row."""
        self.talker.drawing[row], self.predictor.drawing[row] = talker, predictor
        self._both[row] = talker and predictor


class NetworkNoise:
    """The noise of one of the two samplers; a `NoiseSource`.

    Args:
        sources: All generators; the first ones are those of rows in which both networks draw.
        alone: Which are those of rows in which only this one draws: the first ones too, unless draws are captured.
        both: bool (rows, 1): rows in which both draw.
        spare: (rows, width), where draws are captured: what the generators draw that a row does not need.

    Attributes:
        drawing: Whether each row draws.
        generators: Of all sources.
        state: Nothing but the generators has a state.
    """

    def __init__(self, sources: Sequence[PlacedGenerators], alone: int, both: Tensor, spare: Tensor) -> None:
        self._sources, self._alone, self._both, self._spare = sources, sources[alone], both, spare
        self._placed = list(range(len(both)))
        self._index: Tensor | None = None
        self.drawing = [True] * len(both)
        self.generators: Sequence[Generator] = [one for source in sources for one in source.generators]
        self.state: tuple[Tensor, ...] = ()

    def fill(self, buffer: Tensor) -> None:
        """Fill the noise of the placed rows, (n, width), each from its own generator."""
        shared = self._sources[0]
        if self._alone is shared:
            for row, values, generator in zip(self._placed, buffer, shared.generators, strict=False):
                if self.drawing[row]:
                    values.exponential_(generator=generator)
            return
        spare = self._spare[: len(buffer)]
        for source, target in ((shared, buffer), (self._alone, spare)):
            for values, generator in zip(target, source.generators, strict=False):
                values.exponential_(generator=generator)
        buffer.copy_(torch.where(select(self._both, self._index), buffer, spare))

    def reseed(self, row: int, seed: int) -> None:
        """Seed all generators of a row, for both samplers."""
        for source in self._sources:
            source.reseed(row, seed)

    def place(self, rows: Sequence[int], index: Tensor) -> None:
        """Draw for these rows, whose generators move for both samplers."""
        self._placed, self._index = list(rows), index
        for source in self._sources:
            source.place(rows)
