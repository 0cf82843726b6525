"""Writes Kokoro's int8 graph with float32 weights, to try that path where the published file is not at hand.

    python benchmarks/kokoro_dequantized.py FOLDER

The weights are the rounded ones, so that nothing is said of how the published float weights sound; activations are not
rounded any more. ``FOLDER/model.onnx`` is written. Needs onnx, and the graph of the packages
(``realtts-kokoro[weights]``).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from realtts.synthesis.model_choice import resolve_checkpoint
from realtts_kokoro import spec
from realtts_kokoro.files import find_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLOAT_OPS = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}
_INT8_LSTM = "DynamicQuantizeLSTM"


class Dequantizer:
    """Replaces the integer products of a graph by those of floats.

    Args:
        model: It is changed.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._weights = {each.name: each for each in self._graph.initializer}
        self._rounded = {node.output[0]: node for node in self._graph.node if node.op_type == "DynamicQuantizeLinear"}
        self._unrounded: set[str] = set()
        self._nodes: list[onnx.NodeProto] = []

    def run(self) -> None:
        """Do it."""
        for node in self._graph.node:
            if node.op_type in _FLOAT_OPS:
                self._product(node)
            elif node.op_type == _INT8_LSTM:
                self._lstm(node)
            elif node.op_type == "Add" and self._unrounded.intersection(node.input):
                self._sum(node)
            else:
                self._nodes.append(node)
        del self._graph.value_info[:]  # some tensors have another type now
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input}
        kept = [each for each in self._graph.initializer if each.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _product(self, node: onnx.NodeProto) -> None:
        """Multiply floats, and divide by the step of the input, as what follows expects it."""
        zeros = [*node.input[2:], "", ""]
        factors, steps = [], []
        for name, zero in zip(node.input[:2], zeros, strict=False):
            if name in self._rounded:
                rounding = self._rounded[name]
                factors.append(rounding.input[0])
                steps.append(rounding.output[1])
            else:
                factors.append(self._store(f"{name}_float", self._array(name) - self._array(zero)))
        out = node.output[0]
        made = helper.make_node(_FLOAT_OPS[node.op_type], factors, [f"{out}_float"], f"{node.name}_float")
        made.attribute.extend(node.attribute)
        self._nodes.append(made)
        name = f"{out}_float"
        for number, step in enumerate(steps):
            to = out if number == len(steps) - 1 else f"{out}_step{number}"
            self._nodes.append(helper.make_node("Div", [name, step], [to]))
            name = to
        self._unrounded.add(out)

    def _sum(self, node: onnx.NodeProto) -> None:
        """Add a bias that is a whole number to a product that is none any more."""
        inputs = []
        for name in node.input:
            if name not in self._unrounded:
                self._nodes.append(helper.make_node("Cast", [name], [f"{name}_float_bias"], to=TensorProto.FLOAT))
            inputs.append(name if name in self._unrounded else f"{name}_float_bias")
        self._nodes.append(helper.make_node("Add", inputs, list(node.output), node.name))
        self._unrounded.add(node.output[0])

    def _lstm(self, node: onnx.NodeProto) -> None:
        inputs = list(node.input)
        for place, step, zero in ((1, 8, 9), (2, 10, 11)):
            rounded, scale, middle = (self._array(inputs[each]) for each in (place, step, zero))
            shape = (rounded.shape[0], 1, -1)
            weight = ((rounded - middle.reshape(shape)) * scale.reshape(shape)).transpose(0, 2, 1)
            inputs[place] = self._store(f"{inputs[place]}_float", np.ascontiguousarray(weight))
        made = helper.make_node("LSTM", inputs[:8], list(node.output), node.name)
        made.attribute.extend(node.attribute)
        self._nodes.append(made)

    def _array(self, name: str) -> NDArray[np.float32]:
        array: NDArray[Any] = numpy_helper.to_array(self._weights[name]) if name else np.zeros((), np.float32)
        return array.astype(np.float32)

    def _store(self, name: str, array: NDArray[np.float32]) -> str:
        if name not in self._weights:
            self._weights[name] = numpy_helper.from_array(array.astype(np.float32), name)
            self._graph.initializer.append(self._weights[name])
        return name


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    model = onnx.load_from_string(find_files(resolve_checkpoint("packages", spec)).content())
    Dequantizer(model).run()
    onnx.save(model, folder / "model.onnx")


if __name__ == "__main__":
    main()
