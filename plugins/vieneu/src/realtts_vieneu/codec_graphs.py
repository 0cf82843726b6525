"""The codec's decoder as CUDA graphs, one for each bucket of frames and number of rows.

Rows are padded to the bucket, and rows of one frame are put beside them; what the padding becomes is cut off.

Not run on a GPU yet. Kill switch: ``cuda_graphs=False``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.cuda_graph import GraphRunner, rounded_up
from realtts.accel.latest import Latest
from realtts_vieneu.codec_layers import Extent

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.cuda_graph import GraphBackend
    from realtts_vieneu.codec_body import Body

__all__ = ["GraphedBody"]

_SMALLEST = 32
"""Frames of the smallest bucket."""


class GraphedBody:
    """A body as graphs. It keeps the graphs' tensors, so only one thread may use it at a time.

    Args:
        body: What is captured.
        backend: Captures it.
        limit: Most graphs kept; the least recently used goes first.
    """

    def __init__(self, body: Body, backend: GraphBackend, *, limit: int = 32) -> None:
        self._body, self._backend = body, backend
        self._fixed: Latest[tuple[int, int], _Fixed] = Latest(limit)

    def __call__(self, codes: Tensor, lengths: Tensor) -> Tensor:
        """As the body: float32 (rows, frames * samples_per_frame); valid until the next call.

        Args:
            codes: int64 (rows, frames).
            lengths: Frames of each row, int64 (rows,).
        """
        rows, frames = codes.shape
        shape = 1 << (rows - 1).bit_length(), rounded_up(frames, smallest=_SMALLEST)
        fixed = self._fixed.get(shape, lambda: _Fixed(self._body, *shape, codes.device, self._backend))
        return fixed(codes, lengths)


class _Fixed:
    """The graph of one shape, and the tensors that it reads and writes."""

    def __init__(self, body: Body, rows: int, frames: int, device: torch.device, backend: GraphBackend) -> None:
        self._body = body
        self._codes = torch.zeros(rows, frames, dtype=torch.int64, device=device)
        self._lengths = torch.ones(rows, dtype=torch.int64, device=device)
        self._out = torch.zeros(rows, frames * body.samples_per_frame, device=device)
        self._runner = GraphRunner(backend=backend, limit=1)

    def __call__(self, codes: Tensor, lengths: Tensor) -> Tensor:
        rows, frames = codes.shape
        self._codes.zero_()
        self._codes[:rows, :frames] = codes
        self._lengths.fill_(1)
        self._lengths[:rows] = lengths
        self._runner.run("body", self._work)
        return self._out[:rows, : frames * self._body.samples_per_frame]

    def _work(self) -> None:
        self._out.copy_(self._body(self._codes, Extent(self._lengths, self._codes.shape[1])))
