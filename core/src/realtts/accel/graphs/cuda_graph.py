"""CUDA graphs: a captured piece of work is replayed without Python.

What is replayed reads and writes the tensors that it was captured with: callers keep them (static buffers), this
module only captures, replays and throws away. Kill switch: ``Settings(cuda_graphs=False)``.

A backend does the capturing, so that the logic around it runs without a GPU too:
`realtts.testing.recording.RecordingGraphs` executes on replay what it recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from realtts.accel.backends import cudnn_search
from realtts.accel.graphs.cuda import CudaGraphs
from realtts.accel.graphs.lru import LRUCache
from realtts.accel.graphs.streams import CAPTURE_LOCK
from realtts.errors import CaptureFailed, RealTTSError

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from torch import Generator, Tensor

__all__ = [
    "CudaGraphs",
    "GraphBackend",
    "GraphRunner",
    "GraphedCallable",
    "GraphedShapes",
    "powers_of_two",
    "rounded_up",
]

_SWITCH = "set cuda_graphs=False (REALTTS_CUDA_GRAPHS=false)"


def rounded_up(size: int, *, smallest: int, per_octave: int = 4, step: int = 1) -> int:
    """Return the size to pad to, so that few graphs serve all sizes.

    Args:
        size: At least 0.
        smallest: Of all results.
        per_octave: Results for each doubling: with 4, at most a quarter of one is padding.
        step: At least so far from one result to the next.
    """
    if size <= smallest:
        return smallest
    step = max(step, (1 << (size - 1).bit_length()) // (2 * per_octave))
    return -(-size // step) * step


def powers_of_two(size: int, *, most: int) -> Iterator[tuple[int, int]]:
    """Cut a size into powers of two, for what needs no padding then: where each piece begins, and its size.

    Args:
        size: At least 0.
        most: Of a piece, a power of two; the longest come first.
    """
    begin = 0
    while begin < size:
        piece = min(most, 1 << ((size - begin).bit_length() - 1))
        yield begin, piece
        begin += piece


class GraphBackend(Protocol):
    """Captures work and hands back how to replay it.

    A capture that raises leaves nothing behind: generators can be drawn from, and other graphs go on working.
    """

    def apart(self) -> GraphBackend:
        """Return a backend whose graphs share no memory with those of this one: for graphs that are replayed beside."""

    def beside(self, *, joined: bool = False) -> contextlib.AbstractContextManager[None]:
        """Return a context whose work need not wait for what others queue on the device meanwhile, nor they for it.

        It begins behind everything that was queued before. Results that leave the context are waited for by an event,
        or with ``joined`` by everything that is queued behind the context: before memory is freed that it uses.
        """

    def warm_up(self, work: Callable[[], None]) -> None:
        """Run the work once, aside from what is captured."""

    def capture(self, work: Callable[[], None], generators: Sequence[Generator]) -> Callable[[], None]:
        """Capture the work, whose generators must move on with each replay; returns the replay."""


class GraphRunner:
    """Runs a piece of work as a graph, captured once for each key.

    The work is run for warm-up before it is captured; everything that it changes and that matters is put back, so that
    capturing in the middle of a request is as good as before it.

    Args:
        state: Tensors that the work changes in place and that the next step builds on.
        generators: Generators that the work draws from.
        backend: Default: CUDA graphs.
        warm_ups: Runs before a capture.
        limit: Most graphs kept; the least recently used goes first.
    """

    def __init__(
        self,
        state: Sequence[Tensor] = (),
        generators: Sequence[Generator] = (),
        *,
        backend: GraphBackend | None = None,
        warm_ups: int = 2,
        limit: int = 64,
    ) -> None:
        self._state = list(state)
        self._generators = list(generators)
        self._backend: GraphBackend = backend if backend is not None else CudaGraphs()
        self._warm_ups = warm_ups
        self._graphs: LRUCache[Hashable, Callable[[], None]] = LRUCache(limit)
        self.captures = 0

    def run(self, key: Hashable, work: Callable[[], None]) -> None:
        """Replay the graph of a key, capturing it first when there is none.

        Args:
            key: Everything on the host that the work depends on: shapes, buckets, switched settings.
            work: Takes nothing and returns nothing; reads and writes static tensors, never asks the host for a value.

        Raises:
            CaptureFailed: The work cannot be captured; names the switch.
        """
        self._graphs.get(key, lambda: self._captured(work))()

    def invalidate(self) -> None:
        """Throw all graphs away: after a setting changed that the keys do not hold, or to give memory back."""
        self._graphs.clear()

    @property
    def keys(self) -> list[Hashable]:
        """Keys that are captured, the latest used last."""
        return list(self._graphs)

    def _captured(self, work: Callable[[], None]) -> Callable[[], None]:
        # What is captured is run often enough to let cuDNN look for the fastest kernels of its shapes.
        with cudnn_search(), CAPTURE_LOCK:
            values = [tensor.clone() for tensor in self._state]
            seeds = [generator.get_state() for generator in self._generators]
            try:
                for _ in range(self._warm_ups):
                    self._backend.warm_up(work)
                    self._restore(values, seeds)  # or the next one would be a step further than any request goes
                replay = self._backend.capture(work, self._generators)
            except (RealTTSError, torch.OutOfMemoryError):
                raise
            except Exception as error:
                raise CaptureFailed(f"{type(error).__name__}: {error}", who="CUDA graph", fix=_SWITCH) from error
            finally:
                self._restore(values, seeds)
        self.captures += 1
        return replay

    def _restore(self, values: Sequence[Tensor], seeds: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._state, values, strict=True):
            tensor.copy_(value)
        for generator, seed in zip(self._generators, seeds, strict=True):
            generator.set_state(seed)


class GraphedCallable:
    """A function of tensors as one graph: inputs are copied to static places, outputs lie in static places.

    Args:
        function: Takes tensors by keyword and returns a tensor, or a tuple, list or dict of tensors.
        example_inputs: Tensors of the shapes and types that every call will have.
        warmup: Runs before the capture.
        backend: Default: CUDA graphs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        example_inputs: Mapping[str, Tensor],
        *,
        warmup: int = 3,
        backend: GraphBackend | None = None,
    ) -> None:
        self._function = function
        self._inputs = {name: tensor.clone() for name, tensor in example_inputs.items()}
        self._runner = GraphRunner(backend=backend, warm_ups=warmup)
        self._output: Any = None

    def __call__(self, **inputs: Tensor) -> Any:
        """Replay on new inputs; clone a result that must outlive the next replay of any graph of the backend.

        Raises:
            CaptureFailed: The capture failed, or an input has another name, shape or type than the example.
        """
        self._check(inputs)
        for name, tensor in inputs.items():
            self._inputs[name].copy_(tensor)
        self._runner.run("call", self._work)
        return self._output

    def reset(self) -> None:
        """Throw the graph and its output away; the next call captures anew."""
        self._runner.invalidate()
        self._output = None

    def _work(self) -> None:
        self._output = self._function(**self._inputs)

    def _check(self, inputs: Mapping[str, Tensor]) -> None:
        expected = {name: (tuple(t.shape), t.dtype) for name, t in self._inputs.items()}
        actual = {name: (tuple(t.shape), t.dtype) for name, t in inputs.items()}
        if actual != expected:
            wrong = next(n for n in {**expected, **actual} if actual.get(n) != expected.get(n))
            raise CaptureFailed(
                f"input {wrong!r} is {actual.get(wrong, 'missing')}, captured was {expected.get(wrong, 'nothing')}",
                who="CUDA graph",
                fix=f"pad to the captured shape, or {_SWITCH}",
            )


class GraphedShapes:
    """A function of tensors as graphs, a `GraphedCallable` for each set of shapes that it is called with.

    Callers pad what they give, so that there are few of them (`rounded_up`), run those that they expect before the
    first request, and then `seal` it: a capture in the middle of a request takes longer than the work itself.

    Args:
        function: As a `GraphedCallable` takes it.
        backend: Captures.
        limit: Most graphs kept; the least recently used goes first, with its memory.
    """

    def __init__(self, function: Callable[..., Any], backend: GraphBackend, *, limit: int = 32) -> None:
        self._function, self._backend = function, backend
        self._graphs: LRUCache[Hashable, GraphedCallable] = LRUCache(limit)
        self._sealed = False

    def seal(self) -> None:
        """Capture nothing from now on: inputs of shapes that were not captured are computed as they are."""
        self._sealed = True

    def __call__(self, **inputs: Tensor) -> Any:
        """Replay on new inputs. The result is valid until the next replay of any graph of the backend.

        Raises:
            CaptureFailed: The capture failed.
        """
        key = tuple((name, tuple(tensor.shape), tensor.dtype) for name, tensor in sorted(inputs.items()))
        if self._sealed and key not in self._graphs:
            return self._function(**inputs)
        graph = self._graphs.get(key, lambda: GraphedCallable(self._function, inputs, backend=self._backend))
        return graph(**inputs)
