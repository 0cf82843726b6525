"""The vocoder's convolutions as CUDA graphs, one for each bucket of frames.

A spectrogram is padded to the bucket, by a few frames at least, and zeros are kept right behind its end
(`realtts_chatterbox.vocoder_body`); the output of the padding is cut off.

Pitch, source and the two Fourier transforms are not in the graph: they take few kernels, rounding of the pitch grows
with time, the transform of the source reflects at its end, and torch's inverse transform asks the device for a value.

Not run on a GPU yet. Kill switch: ``cuda_graphs=False``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.graphs.cuda_graph import GraphedShapes
from realtts_chatterbox.layout import bucket
from realtts_chatterbox.vocoder_body import Zeros

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_chatterbox.vocoder_body import Body

__all__ = ["GraphedBody"]


class GraphedBody:
    """A body as graphs. The graphs' tensors are reused, so only one thread may use it at a time.

    Args:
        body: The convolutions to capture.
        backend: Captures them.

    Attributes:
        slack: Frames that are added to a spectrogram before its length is rounded up.
    """

    def __init__(self, body: Body, backend: GraphBackend) -> None:
        self.slack = body.slack
        self._graphs = GraphedShapes(
            lambda mel, excitation, frames: body(mel, excitation, Zeros(frames, body.resolutions)), backend
        )

    def seal(self) -> None:
        """Capture nothing from now on; other lengths are computed without graphs."""
        self._graphs.seal()

    def __call__(self, mel: Tensor, excitation: Tensor) -> Tensor:
        """Compute as `Body`, float32 (1, 18, 120 * frames + 1); valid until the next call."""
        frames, samples = mel.shape[1], excitation.shape[2]
        behind = bucket(frames + self.slack) - frames
        spectrum: Tensor = self._graphs(
            mel=functional.pad(mel, (0, behind)),
            excitation=functional.pad(excitation, (0, behind * ((samples - 1) // frames))),
            frames=torch.full((), frames, device=mel.device),
        )
        return spectrum[..., :samples]
