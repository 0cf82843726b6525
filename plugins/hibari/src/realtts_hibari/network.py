"""The graph of a voice: from phonemes to the parts of a spectrum, the pitch and how long each phoneme lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from realtts.errors import AccelError, CheckpointCorrupt
from realtts.kit.onnx import OnnxGraph, expose_output

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realtts.contract.context import Context

__all__ = ["FRAMES_PER_UNIT", "Network", "Spectrum"]

FRAMES_PER_UNIT = 2
"""Frames of 12.5 ms in a unit of duration."""

_DURATIONS = "/Cast_32_output_0"
"""What the graph calls the rounded durations, which it has inside only."""

_THREADS = 1
"""More of them make the sentences of this small graph hardly faster."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What the vocoder makes samples of; f is the number of frames.

    Attributes:
        harmonics: Logarithm of the magnitude over the pulses, float32 of shape (601, f).
        phase: Their phase as an inverse tanh of halves of a turn, float32 of shape (601, f).
        noise: Logarithm of the magnitude of noise, float32 of shape (601, f).
        rest: Logarithm of the magnitude of what is neither, float32 of shape (601, f).
        rest_phase: Its phase in radians, float32 of shape (601, f).
        pitch: Hz, float32 of shape (f,); 0 where there is no voice.
        durations: Units of `FRAMES_PER_UNIT` of each phoneme, int64; None: the graph does not tell.
    """

    harmonics: NDArray[np.float32]
    phase: NDArray[np.float32]
    noise: NDArray[np.float32]
    rest: NDArray[np.float32]
    rest_phase: NDArray[np.float32]
    pitch: NDArray[np.float32]
    durations: NDArray[np.int64] | None


class Network:
    """The graph of one voice.

    Args:
        content: What its file holds.
        context: Of `load`.
        name: Its file's name, for messages.

    Raises:
        CheckpointCorrupt: It is no graph.
    """

    def __init__(self, content: bytes, context: Context, *, name: str) -> None:
        try:
            self._graph = OnnxGraph.open(
                expose_output(content, _DURATIONS, "int64"), context, threads=_THREADS, name=name
            )
        except (AccelError, CheckpointCorrupt):
            # A voice that was exported otherwise speaks without marks.
            self._graph = OnnxGraph.open(content, context, threads=_THREADS, name=name)
        self.tells_durations = _DURATIONS in self._graph.outputs

    def __call__(self, symbols: NDArray[np.int64], speed: float) -> Spectrum:
        """Return the spectrum of a phrase.

        Args:
            symbols: Shape (1, n).
            speed: Durations are divided by it.
        """
        found = self._graph.run({"ids": symbols, "speed": np.asarray([speed], np.float32)})
        harmonics, phase, noise, rest, rest_phase, pitch = (part[0] for part in found[:6])
        durations = found[6].reshape(-1) if self.tells_durations else None
        return Spectrum(harmonics, phase, noise, rest, rest_phase, pitch, durations)
