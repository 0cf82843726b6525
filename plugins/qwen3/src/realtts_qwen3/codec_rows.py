"""The frames of rows on their way through the codec's decoder: windows that grow, those of several rows in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.graphs.cuda_graph import powers_of_two
from realtts_qwen3.codec_state import CodecState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts_qwen3.codec import CodecDecoder

__all__ = ["CodecRow", "decode_together", "growing_sizes"]


def growing_sizes(first: int, growth: float, most: int) -> Iterator[int]:
    """Yield the frames of a stream's chunks, each so many times the one before it, up to the most.

    Args:
        first: Frames of the first chunk, even if they are more than the most.
        growth: Factor from chunk to chunk, at least 1.
        most: Most frames of the later chunks.
    """
    size = float(first)
    while True:
        yield round(size)
        size = max(float(first), min(size * growth, float(most)))


class CodecRow:
    """The frames of one row that wait to be decoded.

    Args:
        sizes: Frames of its windows.
        start: Makes the state of the decoder before its first frame.

    Attributes:
        size: Frames of the next window.
        waiting: Frames that wait.
        ended: Whether no more frames come.
        decoded: Samples of windows that were decoded and not taken yet, float32 (1920 * frames,) each.
    """

    def __init__(self, sizes: Iterator[int], start: Callable[[], CodecState]) -> None:
        self.size, self.waiting, self.ended = next(sizes), 0, False
        self.decoded: list[NDArray[np.float32]] = []
        self._sizes, self._start = sizes, start
        self._state: CodecState | None = None
        self._codes: list[Tensor] = []

    @property
    def is_due(self) -> bool:
        """Whether there is enough to be decoded, or nothing more to come."""
        return self.waiting > 0 and (self.ended or self.waiting >= self.size)

    @property
    def state(self) -> CodecState:
        """The state of the decoder behind the frames that were decoded."""
        if self._state is None:
            self._state = self._start()
        return self._state

    def add(self, codes: Tensor) -> None:
        """Add frames, int64 (n, 16)."""
        self._codes.append(codes)
        self.waiting += len(codes)

    def window(self) -> Tensor:
        """Return the frames that wait, int64 (frames, 16), and begin the next window."""
        codes = torch.cat(self._codes)
        self._codes, self.waiting, self.size = [], 0, next(self._sizes)
        return codes


def decode_together(codec: CodecDecoder, rows: Sequence[CodecRow]) -> None:
    """Decode what waits in rows that have equally many frames, as few calls as there are graphs for.

    Args:
        codec: The decoder.
        rows: At least one.
    """
    for begin, count in powers_of_two(len(rows), most=len(rows)) if codec.graphed else [(0, len(rows))]:
        part = rows[begin : begin + count]
        state = part[0].state if count == 1 else CodecState.stack([row.state for row in part])
        samples = codec.push(state, torch.stack([row.window() for row in part]))  # (count, frames, 16) -> (count, n)
        if count > 1:
            for place, row in enumerate(part):
                row.state.copy_(state.select([place]))
        for row, new in zip(part, samples.cpu().numpy(), strict=True):
            row.decoded.append(new)
