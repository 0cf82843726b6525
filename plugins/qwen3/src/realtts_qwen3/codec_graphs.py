"""The codec's decoder as CUDA graphs, one for each number of rows and power of two of frames.

A piece is cut into powers of two, which needs no padding: with the state, pieces of any size equal the whole. Graphs
read and write a static state, into and out of which the stream's state is copied.

Not run on a GPU yet. Kill switch: ``cuda_graphs=False``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.graphs.cuda_graph import GraphRunner, powers_of_two
from realtts.accel.graphs.lru import LRUCache

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_qwen3.codec_body import Body
    from realtts_qwen3.codec_state import CodecState

__all__ = ["LARGEST", "GraphedBody"]

LARGEST = 32
"""Frames of the largest graph."""


class GraphedBody:
    """The layers as graphs, captured when they are first needed. One thread may use it at a time.

    Args:
        body: The layers.
        backend: Captures them.
        limit: Most numbers of rows whose graphs are kept; the least recently used goes first.
    """

    def __init__(self, body: Body, backend: GraphBackend, *, limit: int = 8) -> None:
        self._body, self._backend = body, backend
        self._graphs: LRUCache[int, _Graphs] = LRUCache(limit)

    def __call__(self, codes: Tensor, state: CodecState) -> Tensor:
        """Decode as the body does: float32 (rows, frames * samples_per_frame); the state moves on."""
        graphs = self._graphs.get(len(codes), lambda: _Graphs(self._body, state, self._backend))
        return graphs(codes, state)


class _Graphs:
    """The graphs of one number of rows, and the static tensors that they read and write."""

    def __init__(self, body: Body, like: CodecState, backend: GraphBackend) -> None:
        self._body = body
        self._state = like.clone()
        rows, device = like.rows, like.past.device
        self._codes = torch.zeros(rows, LARGEST, body.quantizers, dtype=torch.int64, device=device)
        self._out = torch.zeros(rows, LARGEST * body.samples_per_frame, device=device)
        self._runner = GraphRunner([self._state.buffer, self._state.past], backend=backend)

    def __call__(self, codes: Tensor, state: CodecState) -> Tensor:
        self._state.copy_(state)
        rate = self._body.samples_per_frame
        samples = self._out.new_empty(len(codes), codes.shape[1] * rate)
        for begin, frames in powers_of_two(codes.shape[1], most=LARGEST):
            self._codes[:, :frames] = codes[:, begin : begin + frames]
            self._runner.run(frames, lambda frames=frames: self._work(frames))  # type: ignore[misc]
            samples[:, begin * rate : (begin + frames) * rate] = self._out[:, : frames * rate]
        state.copy_(self._state)
        return samples

    def _work(self, frames: int) -> None:
        """Decode the first frames of the static codes: what is captured."""
        samples = self._body(self._codes[:, :frames], self._state)
        self._out[:, : samples.shape[1]] = samples
