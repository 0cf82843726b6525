"""An optimized model: the caller's own model behind a wrapper that runs it the fast way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from realtts.accel.optimizer.converter import device_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from realtts.accel.compile import CompiledCallable
    from realtts.accel.optimizer.graphs import ShapeGraph

__all__ = ["OptimizedModel"]


class OptimizedModel(nn.Module):
    """Calls the model compiled, or as a CUDA graph for the shapes that were captured, under the optimizer's flags.

    Every other attribute is the model's own. Methods besides the forward pass run as they are.

    Attributes:
        base: The model.
        compiled: Its compiled form, with the reason if there is none.
        graph: The captured forward pass, or None.
    """

    def __init__(
        self,
        base: nn.Module,
        compiled: CompiledCallable,
        scope: Callable[[nn.Module], AbstractContextManager[None]],
        *,
        pin_memory: bool,
        move_inputs: bool,
    ) -> None:
        super().__init__()
        self.base = base
        self.compiled = compiled
        self.graph: ShapeGraph | None = None
        self._scope = scope
        self._pin = pin_memory
        self._move = move_inputs

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model's forward pass, with its arguments and result."""
        device = device_of(self.base)
        with self._scope(self.base):
            if self._move:
                args, kwargs = self._sent(args, device), self._sent(kwargs, device)
            if self.graph is not None and self.graph.fits(args, kwargs):
                return self.graph(kwargs)
            return self.compiled(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base"), name)

    def _sent(self, value: Any, device: torch.device) -> Any:
        """Send all tensors in a value to the device, before anything waits for one."""
        if isinstance(value, torch.Tensor):
            pin = self._pin and device.type == "cuda" and value.device.type == "cpu"
            return (value.pin_memory() if pin else value).to(device, non_blocking=True)
        if type(value) is dict:
            return {key: self._sent(item, device) for key, item in value.items()}
        if type(value) in {list, tuple}:
            return type(value)(self._sent(item, device) for item in value)
        return value
