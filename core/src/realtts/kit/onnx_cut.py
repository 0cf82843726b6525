"""Parts of a graph of ONNX, cut out of its file: for noise that a request's seed draws, and for sound in windows.

    file = OnnxFile(content)
    early = file.part(["durations"], {"noise": "float32"})

A file is a serialized message. Nodes and weights are copied out of it as they stand, so that nothing but the library
that runs a graph is needed, and no number changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.kit.onnx import output_message, tensor_message, varint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

__all__ = ["OnnxFile", "OnnxNode"]

_MODEL_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13
"""Fields of GraphProto."""
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5
_INITIALIZER_NAME = 8
_ATTRIBUTE_GRAPHS = (6, 11)
"""Fields of AttributeProto that hold graphs of their own."""


@dataclass(frozen=True)
class OnnxNode:
    """One operation of a graph.

    Attributes:
        op: Its type, such as ``"Conv"``.
        inputs: Names of tensors; empty ones are left out.
        outputs: Names of tensors.
        nested: It holds graphs of its own, whose inputs are not among ``inputs``.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nested: bool


class OnnxFile:
    """The nodes of a graph, and the file that they stand in.

    Args:
        content: What stands in the file.

    Attributes:
        nodes: In their order, each behind those whose outputs it takes.
        inputs: Names of the graph's inputs.
        outputs: Names of the graph's outputs.

    Raises:
        ValueError: It is no serialized graph.
    """

    def __init__(self, content: bytes) -> None:
        self._model = memoryview(content)
        graphs = [part for number, part, _ in _fields(self._model) if number == _MODEL_GRAPH]
        if len(graphs) != 1:
            raise ValueError(f"{len(graphs)} graphs stand in it instead of one")
        self._fields = list(_fields(graphs[0]))
        self.nodes = tuple(_node(part) for number, part, _ in self._fields if number == _NODE)
        self.inputs = tuple(_name(part, 1) for number, part, _ in self._fields if number == _INPUT)
        self.outputs = tuple(_name(part, 1) for number, part, _ in self._fields if number == _OUTPUT)
        self._maker = {name: index for index, node in enumerate(self.nodes) for name in node.outputs}

    def needed(self, wanted: Iterable[str], given: Collection[str] = ()) -> set[int]:
        """Return the nodes that tensors are computed by, as positions in `nodes`.

        Args:
            wanted: Names of tensors.
            given: Names of those that need no computation.
        """
        waiting, nodes = list(wanted), set[int]()
        while waiting:
            name = waiting.pop()
            index = self._maker.get(name)
            if index is None or name in given or index in nodes:
                continue
            nodes.add(index)
            waiting += self.nodes[index].inputs
        return nodes

    def between(self, before: Collection[int], behind: Collection[int]) -> tuple[str, ...]:
        """Return the tensors that some nodes hand to others, without constants: those are copied into every part.

        Args:
            before: Positions of nodes.
            behind: Positions of others.
        """
        constants = self._constants()
        made = {name for index in before if index not in constants for name in self.nodes[index].outputs}
        taken = (name for index in sorted(behind) for name in self.nodes[index].inputs)
        return tuple(dict.fromkeys(name for name in taken if name in made))

    def part(self, wanted: Sequence[str], given: Mapping[str, str]) -> bytes:
        """Return a graph of its own, that computes some tensors from others.

        Args:
            wanted: Names of tensors: the outputs, in this order.
            given: Names of tensors that become inputs, each with a key of `realtts.kit.onnx.ELEMENT_TYPES`; inputs of
                the whole graph stay inputs where they are needed.

        Returns:
            What would stand in its file.

        Raises:
            ValueError: A node that is needed holds graphs of its own.
        """
        kept = self.needed(wanted, given)
        if any(self.nodes[index].nested for index in kept):
            raise ValueError("a part of it has branches or loops")
        taken = {name for index in kept for name in self.nodes[index].inputs} | set(wanted)
        body: list[bytes | memoryview] = []
        index = -1
        for number, part, raw in self._fields:
            index += number == _NODE
            if (
                (number == _NODE and index in kept)
                or (number == _INITIALIZER and _name(part, _INITIALIZER_NAME) in taken)
                or (number == _INPUT and _name(part, 1) in taken)
                or number not in {_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO}
            ):
                body.append(raw)
        body += [tensor_message(_INPUT, name, kind) for name, kind in given.items() if name in taken]
        body += [output_message(name) for name in wanted]
        return self._with_graph(body)

    def _constants(self) -> set[int]:
        """Return the nodes whose outputs depend on no input."""
        constants, varying = set[int](), set(self.inputs)
        for index, node in enumerate(self.nodes):
            if node.op.startswith("Random") or not varying.isdisjoint(node.inputs):
                varying.update(node.outputs)
            else:
                constants.add(index)
        return constants

    def _with_graph(self, body: list[bytes | memoryview]) -> bytes:
        size = sum(len(part) for part in body)
        others = [raw for number, _, raw in _fields(self._model) if number != _MODEL_GRAPH]
        return b"".join([*others, varint(_MODEL_GRAPH << 3 | 2), varint(size), *body])


def _node(message: memoryview) -> OnnxNode:
    inputs, outputs, op, nested = [], [], "", False
    for number, part, _ in _fields(message):
        if number == _NODE_INPUT:
            inputs.append(str(part, "utf-8"))
        elif number == _NODE_OUTPUT:
            outputs.append(str(part, "utf-8"))
        elif number == _NODE_OP:
            op = str(part, "utf-8")
        elif number == _NODE_ATTRIBUTE:
            nested |= any(inner in _ATTRIBUTE_GRAPHS for inner, _, _ in _fields(part))
    return OnnxNode(op, tuple(filter(None, inputs)), tuple(filter(None, outputs)), nested)


def _name(message: memoryview, field: int) -> str:
    return next((str(part, "utf-8") for number, part, _ in _fields(message) if number == field), "")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Yield number, content and the whole of each field; the content of a plain number is empty.

    Raises:
        ValueError: The message is damaged.
    """
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        kind = tag & 7
        size = 0
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
        elif kind in {1, 5}:
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"field of type {kind} at byte {start}")
        end = at + size
        if end > len(message):
            raise ValueError(f"it ends inside the field at byte {start}")
        yield tag >> 3, message[at:end], message[start:end]
        at = end


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError(f"it ends inside a number at byte {at}")
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
