"""Parts of graphs: each computes what the whole does, whatever the graph."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from realtts.kit.onnx import OnnxGraph
from realtts.kit.onnx_cut import OnnxFile

from .conftest import make_context


def model(*nodes: tuple[str, list[str], list[str]], outputs: list[str], **weights: list[float]) -> bytes:
    """A graph of float tensors with the input ``x``."""
    graph = helper.make_graph(
        [helper.make_node(op, inputs, made) for op, inputs, made in nodes],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    content: bytes = made.SerializeToString()
    return content


CHAIN = model(
    ("Add", ["x", "a"], ["one"]), ("Mul", ["one", "b"], ["two"]), ("Neg", ["two"], ["three"]),
    ("Exp", ["a"], ["constant"]), ("Add", ["three", "constant"], ["y"]), ("Abs", ["x"], ["other"]),
    outputs=["y", "other"], a=[1.0], b=[2.0],
)  # fmt: skip


def run(content: bytes, **inputs: list[float]) -> list[list[float]]:
    """Open a graph and run it."""
    graph = OnnxGraph.open(content, make_context(), name="part")
    return [
        each.tolist() for each in graph.run({name: np.asarray(value, np.float32) for name, value in inputs.items()})
    ]


def test_the_whole_is_told() -> None:
    """Nodes, inputs and outputs, by their names."""
    file = OnnxFile(CHAIN)
    assert [node.op for node in file.nodes] == ["Add", "Mul", "Neg", "Exp", "Add", "Abs"]
    assert (file.inputs, file.outputs) == (("x",), ("y", "other"))
    assert file.nodes[0].inputs == ("x", "a")


@pytest.mark.parametrize(
    ("wanted", "given", "inputs", "values"),
    [
        (["two"], {}, {"x": [3.0]}, [[8.0]]),
        (["three", "one"], {}, {"x": [3.0]}, [[-8.0], [4.0]]),
        (["y"], {"two": "float32"}, {"two": [8.0]}, [[-8.0 + float(np.exp(np.float32(1)))]]),
        (["two", "other"], {"one": "float32"}, {"one": [4.0], "x": [-3.0]}, [[8.0], [3.0]]),
        (["y", "other"], {}, {"x": [0.0]}, [[-2.0 + float(np.exp(np.float32(1)))], [0.0]]),
    ],
)
def test_parts_compute_what_the_whole_does(wanted, given, inputs, values) -> None:
    """From the beginning, from the middle, several at once."""
    content = OnnxFile(CHAIN).part(wanted, given)
    onnx.load_from_string(content)
    assert len(content) < len(CHAIN) + 100
    assert np.allclose(run(content, **inputs), values)


def test_what_is_not_needed_is_left_out() -> None:
    """Weights too, which are most of a file."""
    part = onnx.load_from_string(OnnxFile(CHAIN).part(["other"], {}))
    assert [node.op_type for node in part.graph.node] == ["Abs"]
    assert not part.graph.initializer
    assert [each.name for each in part.graph.input] == ["x"]


def test_what_parts_hand_on() -> None:
    """Constants are computed in every part; what is random is none."""
    file = OnnxFile(CHAIN)
    early = file.needed(["two"])
    assert file.between(early | {3}, file.needed(["y"]) - early - {3}) == ("two",)
    random = model(("RandomNormalLike", ["a"], ["r"]), ("Add", ["x", "r"], ["y"]), outputs=["y"], a=[1.0])
    assert OnnxFile(random).between({0}, {1}) == ("r",)


@pytest.mark.parametrize(
    "content",
    [b"", b"abc", b"<html></html>", CHAIN[: len(CHAIN) // 2], CHAIN[:-1], b"\xff" * 40, CHAIN + CHAIN],
)
def test_what_is_no_graph(content) -> None:
    """A fault that says so, whatever the bytes."""
    with pytest.raises(ValueError, match=r"graph|ends|field"):
        OnnxFile(content)


def test_branches_cannot_be_cut() -> None:
    """Their graphs take tensors that the node does not name."""
    then = helper.make_graph(
        [helper.make_node("Neg", ["one"], ["z"])], "then", [], [helper.make_tensor_value_info("z", 1, None)]
    )
    nodes = [
        helper.make_node("Abs", ["x"], ["one"]),
        helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=then),
    ]
    ends = [helper.make_tensor_value_info("x", 1, ["n"]), helper.make_tensor_value_info("y", 1, None)]
    truth = numpy_helper.from_array(np.asarray(True), "c")
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [truth])
    file = OnnxFile(helper.make_model(graph).SerializeToString())
    with pytest.raises(ValueError, match="branches"):
        file.part(["y"], {})
