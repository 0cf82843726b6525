"""The vocoder's convolutions as CUDA graphs, one for each bucket of frames.

A spectrogram is padded to the bucket, with a few frames at least behind its end, where zeros are kept
(`realtts_chatterbox.vocoder_body`); what the padding becomes is cut off.

Pitch, source and the two Fourier transforms are not in the graph: they take few kernels, rounding of the pitch grows
with time, the transform of the source reflects at its end, and torch's inverse transform asks the device for a value.

Not run on a GPU yet. Kill switch: ``cuda_graphs=False``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.cuda_graph import GraphRunner
from realtts.accel.latest import Latest
from realtts_chatterbox.packing import bucket
from realtts_chatterbox.vocoder_body import Zeros

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.cuda_graph import GraphBackend
    from realtts_chatterbox.vocoder_body import Body

__all__ = ["GraphedBody"]


class GraphedBody:
    """A body as graphs. It keeps the graphs' tensors, so only one thread may use it at a time.

    Args:
        body: What is captured.
        backend: Captures it.
        limit: Most graphs kept; the least recently used goes first.
    """

    def __init__(self, body: Body, backend: GraphBackend, *, limit: int = 32) -> None:
        self._body, self._backend = body, backend
        self._fixed: Latest[int, _Fixed] = Latest(limit)

    @property
    def slack(self) -> int:
        """Frames that are added to a spectrogram before it is rounded up."""
        return self._body.slack

    def __call__(self, mel: Tensor, excitation: Tensor) -> Tensor:
        """What the body makes of it, float32 (1, 18, 120 * frames + 1); valid until the next call."""
        frames = bucket(mel.shape[1] + self._body.slack)
        fixed = self._fixed.get(frames, lambda: _Fixed(self._body, mel, excitation, frames, self._backend))
        return fixed(mel, excitation)


class _Fixed:
    """The graph of one bucket, and the tensors that it reads and writes."""

    def __init__(self, body: Body, mel: Tensor, excitation: Tensor, frames: int, backend: GraphBackend) -> None:
        self._body = body
        per_frame = (excitation.shape[2] - 1) // mel.shape[1]
        self._mel = mel.new_zeros(len(mel), frames)
        self._excitation = excitation.new_zeros(1, excitation.shape[1], per_frame * frames + 1)
        self._length = torch.zeros((), dtype=torch.int64, device=mel.device)
        self._out = torch.zeros_like(self._excitation)
        self._runner = GraphRunner(backend=backend, limit=1)

    def __call__(self, mel: Tensor, excitation: Tensor) -> Tensor:
        for fixed, given in ((self._mel, mel), (self._excitation, excitation)):
            fixed.zero_()
            fixed[..., : given.shape[-1]] = given
        self._length.fill_(mel.shape[1])
        self._runner.run("body", self._work)
        return self._out[..., : excitation.shape[2]]

    def _work(self) -> None:
        self._out.copy_(self._body(self._mel, self._excitation, Zeros(self._length, self._body.resolutions)))
