"""The one place where the optimizer meets CUDA graphs. Not run on a GPU yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.graphs.cuda_graph import CudaGraphs, GraphedCallable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.accel.graphs.cuda_graph import GraphBackend

__all__ = ["ShapeGraph"]

WARMUP = 5
"""Runs before the capture, as the document that the optimizer comes from has it."""


class ShapeGraph:
    """A forward pass captured for the shapes of one set of inputs.

    Args:
        function: The forward pass; called with keyword tensors.
        example_inputs: Name -> tensor on the device.
        backend: Who captures; by default CUDA, on the device of the inputs.

    Raises:
        CaptureFailed: It cannot be captured.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        example_inputs: Mapping[str, torch.Tensor],
        backend: GraphBackend | None = None,
    ) -> None:
        self._form = {name: _form(tensor) for name, tensor in example_inputs.items()}
        if backend is None:
            backend = CudaGraphs(next((tensor.device for tensor in example_inputs.values()), "cuda"))
        self._graph = GraphedCallable(function, dict(example_inputs), warmup=WARMUP, backend=backend)
        self._graph(**example_inputs)  # which captures: whoever has one of these has a graph

    def fits(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether a call has the inputs that were captured: the same names, shapes and types."""
        return not args and self._form == {name: _form(value) for name, value in kwargs.items()}

    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> Any:
        """Replay; the result is the caller's own and no static buffer."""
        return _copied(self._graph(**inputs))

    def reset(self) -> None:
        """Free the graph and its memory."""
        self._graph.reset()


def _form(value: Any) -> Any:
    return (value.shape, value.dtype) if isinstance(value, torch.Tensor) else None


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return type(value)((key, _copied(item)) for key, item in value.items())
    if type(value) in {list, tuple}:
        return type(value)(_copied(item) for item in value)
    return value
