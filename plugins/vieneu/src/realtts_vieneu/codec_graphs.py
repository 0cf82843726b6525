"""The codec's decoder as CUDA graphs, one for each bucket of frames and number of rows.

Rows are padded to the bucket, and rows of one frame are put beside them; what the padding becomes is cut off.

Not run on a GPU yet. Kill switch: ``cuda_graphs=False``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

from realtts.accel.graphs.cuda_graph import GraphedShapes, rounded_up
from realtts_vieneu.codec_layers import Extent

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_vieneu.codec_body import Body

__all__ = ["GraphedBody", "buckets"]

_SMALLEST = 32
"""Frames of the smallest bucket."""

_SHAPES = 64
"""Most graphs."""


def buckets(longest: int) -> list[int]:
    """Return the numbers of frames that rows of up to so many are padded to, the longest first."""
    return sorted({rounded_up(frames, smallest=_SMALLEST) for frames in range(1, longest + 1)}, reverse=True)


class GraphedBody:
    """A body as graphs. It keeps the graphs' tensors, so only one thread may use it at a time.

    Args:
        body: What is captured.
        backend: Captures it.
    """

    def __init__(self, body: Body, backend: GraphBackend) -> None:
        self._rate = body.samples_per_frame
        self._graphs = GraphedShapes(
            lambda codes, lengths: body(codes, Extent(lengths, codes.shape[1])), backend, limit=_SHAPES
        )

    def seal(self) -> None:
        """Capture nothing from now on; other shapes are computed without graphs."""
        self._graphs.seal()

    def __call__(self, codes: Tensor, lengths: Tensor) -> Tensor:
        """As the body: float32 (rows, frames * samples_per_frame); valid until the next call.

        Args:
            codes: int64 (rows, frames).
            lengths: Frames of each row, int64 (rows,).
        """
        rows, frames = codes.shape
        beside = rounded_up(rows, smallest=1, per_octave=1) - rows
        behind = rounded_up(frames, smallest=_SMALLEST) - frames
        samples: Tensor = self._graphs(
            codes=functional.pad(codes, (0, behind, 0, beside)), lengths=functional.pad(lengths, (0, beside), value=1)
        )
        return samples[:rows, : frames * self._rate]
