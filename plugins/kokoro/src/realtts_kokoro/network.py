"""The graph: phonemes and a style to samples, with the length of each phoneme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.errors import AccelError, CheckpointCorrupt, CheckpointMismatch, InvalidOption
from realtts.kit.onnx import OnnxGraph, message, output_message
from realtts.kit.onnx_cut import OnnxFile
from realtts_kokoro.vocabulary import PAD
from realtts_kokoro.voices import STYLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from realtts.contract.context import Context

__all__ = ["FRAME", "MOST_SYMBOLS", "RATE", "Network", "Sound"]

RATE = 24000
FRAME = 600
"""Samples in a unit of the phonemes' lengths."""

MOST_SYMBOLS = 510
"""That the graph takes at once, beside the pads at both ends."""

_WHO = "provider 'kokoro'"
_TYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(int64)": np.int64, "tensor(int32)": np.int32,
}  # fmt: skip
_TOKENS = ("input_ids", "tokens")
_LENGTHS = ("duration", "durations", "pred_dur")


@dataclass(frozen=True, eq=False)
class Sound:
    """A phrase that was spoken.

    Attributes:
        samples: float32 of shape (m,).
        frames: Frames that each symbol lasts, the pads included, int64 of shape (n + 2,); None: the graph does not
            tell.
    """

    samples: NDArray[np.float32]
    frames: NDArray[np.int64] | None


class Network:
    """The graph; any number of threads may use it.

    Args:
        content: What its file holds.
        context: Of `load`.
        name: The file's name, for messages.

    Attributes:
        seeded: Whether equal requests give equal samples: the graph draws no noise of its own.
        execution_provider: ONNX Runtime's name of what it runs on.

    Raises:
        CheckpointCorrupt: It is no graph.
        CheckpointMismatch: It is the graph of another model.
        AccelError, MissingExtra: As `realtts.kit.onnx.OnnxGraph.open`.
    """

    def __init__(self, content: bytes, context: Context, *, name: str) -> None:
        try:
            file = OnnxFile(content)
        except ValueError as error:
            raise CheckpointCorrupt(
                f"{name} cannot be read as a graph: {error}", who=_WHO, fix="get the file anew: it is damaged"
            ) from error
        self._tokens = next((each for each in _TOKENS if each in file.inputs), "")
        if not self._tokens or set(file.inputs) != {self._tokens, "style", "speed"} or not file.outputs:
            raise CheckpointMismatch(
                f"{name} is not Kokoro's graph: its inputs are {', '.join(file.inputs[:6])}", who=_WHO,
                fix="give one with the inputs tokens (or input_ids), style and speed",
            )  # fmt: skip
        self.seeded = not any(node.op.startswith("Random") for node in file.nodes)
        self._audio, self._lengths = file.outputs[0], _lengths(file)
        self._graph = self._open(content, file, context, name)
        self._types = {each.name: _TYPES.get(each.type, np.float32) for each in self._graph.session.get_inputs()}
        self.execution_provider = self._graph.provider

    @property
    def tells_lengths(self) -> bool:
        """Whether the graph tells how long each phoneme lasts."""
        return bool(self._lengths)

    def __call__(
        self,
        numbers: Sequence[int],
        style: NDArray[np.float32],
        speed: float,
        cancelled: Callable[[], bool] | None = None,
    ) -> Sound:
        """Speak a phrase.

        Args:
            numbers: Of its symbols, at most `MOST_SYMBOLS`.
            style: Shape (256,).
            speed: Lengths are divided by it.
            cancelled: Ends the run early.

        Raises:
            InvalidOption: The graph takes whole speeds only.
            realtts.kit.onnx.RunCancelled: ``cancelled`` has said so.
        """
        whole = np.issubdtype(self._types["speed"], np.integer)
        if whole and speed != int(speed):
            raise InvalidOption(
                f"speed is {speed:g}, and this export of the graph takes whole numbers only", who=_WHO,
                fix="give speed=1 or speed=2, or another export",
            )  # fmt: skip
        inputs: dict[str, NDArray[Any]] = {
            self._tokens: np.asarray([[PAD, *numbers, PAD]], self._types[self._tokens]),
            "style": np.ascontiguousarray(style.reshape(1, STYLE), self._types["style"]),
            "speed": np.asarray([speed], self._types["speed"]),
        }
        wanted = [self._audio, *([self._lengths] if self._lengths else [])]
        audio, *lengths = self._graph.run(inputs, wanted, cancelled=cancelled)
        samples = np.asarray(audio, np.float32).reshape(-1)
        return Sound(samples, self._frames(lengths[0], len(numbers), len(samples)) if lengths else None)

    @staticmethod
    def _frames(lengths: NDArray[Any], count: int, samples: int) -> NDArray[np.int64] | None:
        frames = np.asarray(lengths).reshape(-1).astype(np.int64)
        # Of another form of graph they could be anything: marks would be somewhere else.
        return frames if len(frames) == count + 2 and abs(int(frames.sum()) * FRAME - samples) <= FRAME else None

    def _open(self, content: bytes, file: OnnxFile, context: Context, name: str) -> OnnxGraph:
        if not self._lengths or self._lengths in file.outputs:
            return OnnxGraph.open(content, context, name=name)
        try:
            return OnnxGraph.open(content + message(7, output_message(self._lengths)), context, name=name)
        except (AccelError, CheckpointCorrupt):
            self._lengths = ""
            return OnnxGraph.open(content, context, name=name)


def _lengths(file: OnnxFile) -> str:
    """Return the tensor with the phonemes' lengths: an output, or the only rounded numbers inside; empty: none."""
    named = next((each for each in _LENGTHS if each in file.outputs), "")
    rounded = [node.outputs[0] for node in file.nodes if node.op == "Round"]
    if named or len(rounded) != 1:
        return named
    return next(
        (node.outputs[0] for node in file.nodes if node.op in {"Clip", "Max"} and rounded[0] in node.inputs), rounded[0]
    )
