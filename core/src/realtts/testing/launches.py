"""Counting what a step launches on a GPU, without one.

On a pretended device every operation is made on fake tensors: shapes and devices are real, values are not there. What
is no view is one launch; fused operations say how many they are. As a GPU would, an operation that asks for a value or
mixes devices is refused or noted.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from realtts.accel.fused import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Generator

__all__ = ["CountingGraphs", "LaunchCounter"]

_FREE = frozenset(
    f"aten::{name}" for name in ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided", "lift_fresh")
)
"""What launches nothing and is no view."""


class LaunchCounter(TorchDispatchMode):
    """A dispatch mode that counts the kernels that operations on a device would launch.

    Allocations and views launch nothing. An operation of torch counts as one launch, though a few are several (a sort,
    say); what is made of others counts as those.

    Args:
        device: Type of the device.

    Attributes:
        launches: By the operation's name.
        host: Tensors that were made or read on the host, by the operation's name: a captured step may have none.
    """

    def __init__(self, device: str = "cuda") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.launches: Counter[str] = Counter()
        self.host: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All launches."""
        return sum(self.launches.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        name = func.name().partition(".")[0]
        if name == "aten::scaled_dot_product_attention" and output.device.type == "cuda":
            # As CUDA's kernels lay it out: the heads of a position lie together, and putting them there is no copy.
            output = output.transpose(1, 2).contiguous().transpose(1, 2)
        if name in OPERATIONS:
            self.launches[name] += OPERATIONS[name].launches(*args, **kwargs)
            return output
        inputs, outputs = (_tensors(values) for values in ((args, kwargs), output))
        if name.startswith("prim::") or name in _FREE or _is_view(func, inputs, outputs):
            return output
        self._note_host(name, inputs, outputs)
        if any(tensor.device.type == self.device for tensor in (*inputs, *outputs)):
            self.launches[name] += 1
        return output

    def _note_host(self, name: str, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> None:
        made = [tensor for tensor in outputs if tensor.device.type == "cpu"]
        if made:
            self.host[f"{name} makes {tuple(made[0].shape)}"] += 1
        kinds = {tensor.device.type for tensor in (*inputs, *outputs) if tensor.dim()}
        if len(kinds) > 1:
            self.host[f"{name} between devices"] += 1


class CountingGraphs:
    """A backend for `realtts.accel.graphs.cuda_graph.GraphRunner` that counts what it captures. It replays nothing.

    Args:
        device: Type of the device that is counted.

    Attributes:
        counters: Of each capture.
    """

    def __init__(self, device: str = "cuda") -> None:
        self._device = device
        self.counters: list[LaunchCounter] = []

    def apart(self) -> CountingGraphs:
        """Return itself: what is not replayed shares nothing."""
        return self

    def beside(self, *, joined: bool = False) -> contextlib.AbstractContextManager[None]:
        """Return a context that changes nothing."""
        return contextlib.nullcontext()

    def warm_up(self, work: Callable[[], None]) -> None:
        """Run the work."""
        work()

    def capture(self, work: Callable[[], None], generators: Sequence[Generator]) -> Callable[[], None]:
        """Run the work and count."""
        counter = LaunchCounter(self._device)
        with torch.inference_mode(), counter:
            work()
        self.counters.append(counter)
        return lambda: None


def _tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def _is_view(func: Any, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> bool:
    """Tell whether all results are views of arguments; those that may be are judged by their memory."""
    aliases = [returned.alias_info for returned in func._schema.returns]
    if not aliases or any(alias is None or alias.is_write for alias in aliases):
        return False
    storages = {tensor.untyped_storage()._cdata for tensor in inputs}
    return all(tensor.untyped_storage()._cdata in storages for tensor in outputs)
