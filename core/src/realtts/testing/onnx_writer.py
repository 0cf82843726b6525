"""Graphs of ONNX with random weights, written node by node, for the tests of plugins on ONNX Runtime."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.errors import InvalidOption, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["GraphWriter", "check_size"]

_INTEGERS, _FLOATS = 7, 1  # as ONNX numbers its types


def check_size(size: str, sizes: Mapping[str, object], who: str) -> None:
    """Check the name of a size.

    Raises:
        InvalidOption: There is none of that name.
    """
    if size not in sizes:
        raise InvalidOption(f"size is {size!r}", who=who, fix=f"choose one of {', '.join(sizes)}")


class GraphWriter:
    """The nodes and weights of a graph that is being written.

    Args:
        seed: Of the weights.
        distribution: Of the plugin, whose extra ``testing`` brings the package onnx.

    Attributes:
        random: Draws the weights.

    Raises:
        MissingExtra: The package onnx is not installed.
    """

    def __init__(self, seed: int, distribution: str) -> None:
        try:
            self._onnx: Any = importlib.import_module("onnx")
        except ImportError as error:
            raise MissingExtra(
                "the package onnx is not installed", who=f"{distribution.replace('-', '_')}.testing",
                fix=f"pip install '{distribution}[testing]'",
            ) from error  # fmt: skip
        self.random = np.random.default_rng(seed)
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, op: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Add a node; return its output's name, ``out`` or one that is made up."""
        out = out or f"/{op}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(op, list(inputs), [out], **attributes))
        return out

    def weight(self, value: Any, name: str = "") -> str:
        """Add a weight; return its name."""
        name = name or f"weight_{len(self._weights)}"
        self._weights.append(self._onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def numbers(self, *values: int) -> str:
        """Add whole numbers as a weight of shape (n,)."""
        return self.weight(np.asarray(values, np.int64))

    def normal(self, *shape: int, name: str = "", scale: float = 1.0) -> str:
        """Add normally distributed weights of a shape."""
        return self.weight((self.random.standard_normal(shape) * scale).astype(np.float32), name)

    def spread(self, values: str, frames: str) -> str:
        """Return each symbol's values for as long as it lasts, (1, channels, frames).

        Args:
            values: Of shape (1, channels, n).
            frames: How many frames each symbol lasts, n numbers.
        """
        flat = self.add("Reshape", frames, self.numbers(-1))
        ends = self.add("CumSum", flat, self.weight(np.int64(0)))
        total = self.add("Cast", self.add("ReduceMax", ends, keepdims=0), to=_INTEGERS)
        steps = self.add("Range", self.weight(np.int64(0)), total, self.weight(np.int64(1)))
        steps = self.add("Unsqueeze", self.add("Cast", steps, to=_FLOATS), self.numbers(1))
        passed = self.add("Cast", self.add("GreaterOrEqual", steps, ends), to=_INTEGERS)
        index = self.add("ReduceSum", passed, self.numbers(1), keepdims=0)
        return self.add("Gather", values, index, axis=2)

    def sound(self, latent: str, channels: int, hop: int) -> str:
        """Return samples, (1, 1, frames * hop): a few waves of each channel, which sound and do not click."""
        turns = np.arange(2 * hop, dtype=np.float32) / (2 * hop)
        waves: NDArray[Any] = np.sin(2 * np.pi * turns * np.arange(4, 4 + channels)[:, None]) * np.hanning(2 * hop)
        kernel = self.weight((waves[:, None] * 0.1).astype(np.float32))
        pads = [hop // 2, hop // 2]
        return self.add("ConvTranspose", latent, kernel, strides=[hop], pads=pads, kernel_shape=[2 * hop])

    def write(
        self,
        name: str,
        inputs: Sequence[tuple[str, str, Sequence[object]]],
        output: tuple[str, str, Sequence[object]],
    ) -> bytes:
        """Return the checked graph as the content of its file.

        Args:
            name: Of the graph.
            inputs: Name, type (such as ``"FLOAT"`` or ``"INT64"``) and shape of each.
            output: Of the samples, alike.
        """
        helper, types = self._onnx.helper, self._onnx.TensorProto
        ends = [
            helper.make_tensor_value_info(each, getattr(types, kind), shape) for each, kind, shape in (*inputs, output)
        ]
        graph = helper.make_graph(self._nodes, name, ends[:-1], ends[-1:], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
        self._onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
        return content
