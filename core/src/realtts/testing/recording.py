"""Graphs without a GPU: what a CUDA graph would replay, recorded and replayed on the CPU.

As a real graph does, it repeats the recorded operations on the recorded tensors: Python is not run again, numbers of
the host are those of the capture, and results appear where they appeared then. What a real capture refuses (asking the
device for a value, tensors made from Python lists) is refused here too. Code that keeps its promises gives the same
with and without it; code that does not is found out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Generator

__all__ = ["RecordingGraphs"]

_aten = torch.ops.aten
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_SYNCS = {
    _aten._local_scalar_dense: "a value is read by the host",
    _aten.nonzero: "the size of a result depends on values",
    _aten.masked_select: "the size of a result depends on values",
    _aten._unique2: "the size of a result depends on values",
    _aten.equal: "a value is read by the host",
    _aten.multinomial: "torch.multinomial reads a value on the host",
}


class RecordingGraphs:
    """A backend for `realtts.accel.graphs.cuda_graph.GraphRunner` that records on any device.

    Attributes:
        warm_ups: Runs before captures.
        captures: Captures.
        replays: Replays of all captures.
    """

    def __init__(self) -> None:
        self.warm_ups = 0
        self.captures = 0
        self.replays = 0

    def warm_up(self, work: Callable[[], None]) -> None:
        """Run the work."""
        self.warm_ups += 1
        work()

    def capture(self, work: Callable[[], None], generators: Sequence[Generator]) -> Callable[[], None]:
        """Record the work; what it draws from other generators than those given is refused."""
        self.captures += 1
        with torch.inference_mode(), _Recorder(generators) as recorder:
            work()

        def replay() -> None:
            self.replays += 1
            recorder.replay()

        return replay


class _Recorder(TorchDispatchMode):
    """A dispatch mode that runs operations and remembers them."""

    def __init__(self, generators: Sequence[Generator]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generators = list(generators)
        self._calls: list[tuple[Any, Any, Any, Any]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # The frames below may be compiled, as those of the work are. Else torch would run compiled work aside from
        # us, so that nothing of it would be recorded.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE.name):
            # Operations made of others (`item`, `where`, `linear`) hide what they do: look at their parts.
            # `func.decompose` would sometimes take others than those that run without us.
            with self:
                return func._op_dk(_COMPOSITE, *args, **kwargs)
        self._refuse(func, args, kwargs)
        output = func(*args, **kwargs)
        if not _is_view(func, args, output):
            self._calls.append((func, args, kwargs, output))
        return output

    def replay(self) -> None:
        """Repeat the operations; new results go where the recorded ones lie."""
        with torch.inference_mode():
            for func, args, kwargs, output in self._calls:
                _put(func(*args, **kwargs), output)

    def _refuse(self, func: Any, args: Any, kwargs: Any) -> None:
        reason = _SYNCS.get(func.overloadpacket)
        if func.overloadpacket in {_aten.index, _aten.index_put, _aten.index_put_} and any(
            index is not None and index.dtype is torch.bool for index in args[1]
        ):
            reason = "the size of a result depends on a mask's values"
        if func.overloadpacket is _aten.lift_fresh and args[0].dim() > 0:  # a single number is a kernel's argument
            reason = "a tensor is made from host data"
        generator = kwargs.get("generator")
        if generator is not None and _identity(generator) not in map(_identity, self._generators):
            reason = "a generator is used that is not registered"
        if reason is not None:
            raise RuntimeError(f"graph capture: {reason} ({func})")


def _identity(generator: Any) -> Any:
    # A dispatch mode is given another Python object for the same generator of C++.
    return generator._cdata


def _is_view(func: Any, args: Any, output: Any) -> bool:
    """Tell whether the result is a view of an argument's memory, which needs no repetition."""
    aliases = [returned.alias_info for returned in func._schema.returns]
    if not aliases or any(alias is None or alias.is_write for alias in aliases):
        return False
    # `to`, `reshape` and `contiguous` may be views: whether they are, the memory says.
    results = [output] if isinstance(output, torch.Tensor) else output
    looked_at = {arg.untyped_storage().data_ptr() for arg in args if isinstance(arg, torch.Tensor)}
    return all(result.untyped_storage().data_ptr() in looked_at for result in results)


def _put(new: Any, recorded: Any) -> None:
    if isinstance(recorded, torch.Tensor):
        if new is not recorded and new.data_ptr() != recorded.data_ptr():
            recorded.copy_(new)
    elif isinstance(recorded, (tuple, list)):
        for one, other in zip(new, recorded, strict=True):
            _put(one, other)
