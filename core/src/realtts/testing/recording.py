"""Graphs without a GPU: what a CUDA graph would replay, recorded and replayed on the CPU.

As a real graph does, it repeats the recorded operations on the recorded tensors: Python is not run again, numbers of
the host are those of the capture, and results appear where they appeared then. What a real capture refuses (asking the
device for a value, tensors made from Python lists) is refused here too. A real capture computes nothing, and graphs of
one backend share their memory; so here what a capture has made is poisoned behind it, and again when another graph is
replayed: whoever reads it then reads NaN. Code that keeps its promises gives the same with and without it; code that
does not is found out.
"""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Generator, Tensor

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
        captures: Captures, those that failed included.
        replays: Replays of all captures.
        pools: Memory pools so far: all graphs share one, until a capture fails and leaves it unusable.
        beside_others: How often work was queued beside others'.
        joined: How often others waited for it.
    """

    def __init__(self) -> None:
        self.warm_ups = self.captures = self.replays = self.pools = self.beside_others = self.joined = 0
        self._pool: _Pool | None = None
        self._graphs: weakref.WeakSet[_Recorder] = weakref.WeakSet()
        self._depth = 0  # of `beside`

    @property
    def pooled(self) -> int:
        """Bytes that the graphs which are left have made in their captures."""
        return sum(recorder.nbytes for recorder in self._graphs)

    def apart(self) -> _ApartGraphs:
        """Return a backend with a pool of its own; what happens is counted here."""
        return _ApartGraphs(self)

    @contextlib.contextmanager
    def beside(self, *, joined: bool = False) -> Iterator[None]:
        """Count it; there is only one stream."""
        self.beside_others += 1
        self.joined += joined
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def warm_up(self, work: Callable[[], None]) -> None:
        """Run the work."""
        self.warm_ups += 1
        work()

    def capture(self, work: Callable[[], None], generators: Sequence[Generator]) -> Callable[[], None]:
        """Record the work; what it draws from other generators than those given is refused."""
        if self._pool is None:
            self._pool, self.pools = _Pool(), self.pools + 1
        try:
            return self._recorded(work, generators, self._pool)
        except BaseException:
            self._pool = None
            raise

    def _recorded(self, work: Callable[[], None], generators: Sequence[Generator], pool: _Pool) -> Callable[[], None]:
        self.captures += 1
        recorder = _Recorder(generators)
        with torch.inference_mode(), recorder:
            work()
        recorder.poison()  # a real capture computes nothing
        pool.graphs.add(recorder)
        self._graphs.add(recorder)

        def replay() -> None:
            self.replays += 1
            pool.enter(recorder, beside=self._depth > 0)
            recorder.replay()

        return replay


class _ApartGraphs:
    """The graphs of another pool, counted with the others."""

    def __init__(self, counting: RecordingGraphs) -> None:
        self._counting, self._pool = counting, _Pool()
        self.apart, self.beside, self.warm_up = counting.apart, counting.beside, counting.warm_up
        counting.pools += 1

    def capture(self, work: Callable[[], None], generators: Sequence[Generator]) -> Callable[[], None]:
        """As `RecordingGraphs.capture`."""
        try:
            return self._counting._recorded(work, generators, self._pool)
        except BaseException:
            self._pool = _Pool()
            self._counting.pools += 1
            raise


class _Pool:
    """Memory that graphs share: who is replayed writes where the others have written."""

    def __init__(self) -> None:
        self.graphs: weakref.WeakSet[_Recorder] = weakref.WeakSet()
        self._beside: bool | None = None  # others; None: nothing was replayed

    def enter(self, recorder: _Recorder, *, beside: bool) -> None:
        """Let a graph use it; on a device two streams would do so at the same time."""
        if self._beside is not None and self._beside is not beside:
            raise RuntimeError("graphs that share memory are replayed on two streams: take `apart` for one of them")
        self._beside = beside
        for other in self.graphs:
            if other is not recorder:
                other.poison()


class _Recorder(TorchDispatchMode):
    """A dispatch mode that runs operations and remembers them."""

    def __init__(self, generators: Sequence[Generator]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generators = list(generators)
        self._calls: list[tuple[Any, Any, Any, Any]] = []
        self._made: list[Tensor] = []  # by the recorded operations, of memory of their own
        self._poisoned = False

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
            given = {_memory(value) for value in tree_leaves((args, kwargs))}
            self._made += [value for value in tree_leaves(output) if _memory(value) not in given | {None}]
        return output

    @property
    def nbytes(self) -> int:
        """Bytes that the recorded operations have made."""
        return sum(tensor.untyped_storage().nbytes() for tensor in self._made)

    def poison(self) -> None:
        """Write nonsense where the recorded operations have written, which is memory of the pool."""
        if self._poisoned:
            return
        self._poisoned = True
        with torch.inference_mode():
            for tensor in self._made:
                _spoil(tensor)

    def replay(self) -> None:
        """Repeat the operations; new results go where the recorded ones lie."""
        self._poisoned = False
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


def _memory(value: Any) -> int | None:
    """Return which memory a tensor lies in; None for anything else, and for weights packed by a library."""
    if not isinstance(value, torch.Tensor):
        return None
    try:
        memory: int = value.untyped_storage()._cdata
    except NotImplementedError:
        return None
    return memory


def _spoil(tensor: Tensor) -> None:
    """Fill a tensor with what no computation survives: NaN, numbers that are no index, True."""
    if tensor.is_floating_point() or tensor.is_complex():
        tensor.fill_(float("nan"))
    elif tensor.dtype is torch.bool:
        tensor.fill_(True)
    else:
        tensor.fill_(torch.iinfo(tensor.dtype).max // 2 + 1)


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
