"""The state of the codec's decoder between two pieces of a stream.

All of it lies in one buffer: a state is copied, stored and stacked in one operation, and a graph that reads and writes
it needs no more than two static tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["CodecState", "Layout"]


class Layout:
    """The places of the layers' past frames in the buffer; a layer asks for its place when it is made.

    Args:
        convolve: Layers that ask here use torch's convolutions, instead of products over copied windows.

    Attributes:
        convolve: As given.
    """

    def __init__(self, *, convolve: bool = False) -> None:
        self.convolve = convolve
        self._shapes: list[tuple[int, int]] = []

    def add(self, frames: int, channels: int) -> int:
        """Reserve a place for so many frames and return its number."""
        self._shapes.append((frames, channels))
        return len(self._shapes) - 1

    @property
    def size(self) -> int:
        """Numbers in one row of the buffer."""
        return sum(frames * channels for frames, channels in self._shapes)

    def views(self, buffer: Tensor) -> list[Tensor]:
        """Return the places in a buffer (rows, size) as views, each (rows, frames, channels)."""
        sizes = [frames * channels for frames, channels in self._shapes]
        parts = buffer.split(sizes, 1)
        # (rows, frames * channels) -> (rows, frames, channels)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self._shapes, strict=True)]


class CodecState:
    """The state of some streams, one row for each.

    Attributes:
        buffer: Left contexts of the convolutions, keys and values, (rows, size), of the decoder's dtype.
        past: Frames so far, int64 (rows,).
    """

    def __init__(self, buffer: Tensor, past: Tensor) -> None:
        self.buffer, self.past = buffer, past

    @property
    def rows(self) -> int:
        """Number of streams."""
        return len(self.past)

    def clone(self) -> CodecState:
        """Copy the state, so that one decoded reference serves any number of requests."""
        return CodecState(self.buffer.clone(), self.past.clone())

    def select(self, rows: Sequence[int]) -> CodecState:
        """Copy some rows, in the order given."""
        index = torch.tensor(list(rows), device=self.past.device)
        return CodecState(self.buffer[index], self.past[index])

    @classmethod
    def stack(cls, states: Sequence[CodecState]) -> CodecState:
        """Copy all rows of some states, in their order; numbers of past frames may differ."""
        return cls(torch.cat([state.buffer for state in states]), torch.cat([state.past for state in states]))

    def copy_(self, other: CodecState) -> None:
        """Take over another state's values, of as many rows."""
        self.buffer.copy_(other.buffer)
        self.past.copy_(other.past)
