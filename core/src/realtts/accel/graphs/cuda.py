"""The backend that captures on a CUDA device, and what it does when a capture fails.

torch leaves a failed capture half done: the memory pool stays in use for a recording that never ends, generators stay
in the state of a capture, so that nobody can draw from them (the device's default generator is among them), and
`torch.cuda.graph` leaves its stream the current one. Here all of that is ended, so that the next rung, which runs
eagerly, is not harmed. Not run on a GPU yet; tests run it on an imitation of `torch.cuda`.
"""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.graphs.streams import LIVE_GRAPHS, beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Generator

    from realtts.accel.graphs.streams import Purpose

__all__ = ["CudaGraphs"]

_END_ALLOCATION = ("_cuda_endAllocateToPool", "_cuda_endAllocateCurrentStreamToPool")
"""Names of the function that ends a pool's recording, of newer and older versions of torch."""

_ABANDONED: list[Any] = []
"""Graphs whose capture failed: torch's allocators have functions that refer to them, so they are not destroyed."""


class CudaGraphs:
    """Captures CUDA graphs. All graphs of one instance share a memory pool; after a failure, those that follow do.

    Args:
        device: Where the work runs; without a number the device that is the current one when something is captured.
        apart: Whether its graphs are replayed in `beside`, while those of others are replayed outside of it.

    Attributes:
        pools: Memory pools so far.
    """

    def __init__(self, device: torch.device | str = "cuda", *, apart: bool = False) -> None:
        self._device = torch.device(device)
        self._purpose: Purpose = "beside" if apart else "capture"
        self._pool: Any = None
        self.pools = 0

    def apart(self) -> CudaGraphs:
        """Return a backend for graphs that are replayed in `beside`: neither pool nor stream are those of others."""
        return CudaGraphs(self._device, apart=True)

    def beside(self, *, joined: bool = False) -> contextlib.AbstractContextManager[None]:
        """Queue what the body computes beside what others compute on the device; see `streams.beside`."""
        return beside(self._device, joined=joined)

    def warm_up(self, work: Callable[[], None]) -> None:
        """Run the work where it will be captured: libraries make their choices and allocate their workspaces."""
        with beside(self._device, joined=True, purpose=self._purpose):
            work()

    def capture(self, work: Callable[[], None], generators: Sequence[Generator]) -> Callable[[], None]:
        """Capture into a graph of the shared pool.

        Raises:
            Exception: What the work or torch raises. Pool, stream and generators are then as if nothing had been
                captured, and graphs that were captured before go on working.
        """
        with torch.cuda.device(self._device):
            index = torch.cuda.current_device()
            torch.cuda.synchronize(index)  # what is freed while others still compute would not be reused in the pool
            graph = torch.cuda.CUDAGraph()
            if self._pool is None:
                torch.cuda.empty_cache()  # the pool takes memory of its own
                self._pool, self.pools = torch.cuda.graph_pool_handle(), self.pools + 1
            with beside(self._device, joined=True, purpose=self._purpose), _no_collection():
                try:
                    for generator in generators:
                        graph.register_generator_state(generator)
                    _record(graph, self._pool, work)
                except BaseException:
                    self._abandon(graph, index, generators)
                    raise
        return _Replay(graph)

    def _abandon(self, graph: Any, index: int, generators: Sequence[Generator]) -> None:
        """End what a failed capture has begun."""
        ended = _has_ended(graph)  # then it was the work alone that failed
        graph.reset()
        if not ended:
            _ABANDONED.append(graph)
            _end_allocation(index, self._pool)
            self._pool = None
        # Which ends the state of the generators: nothing else that torch offers does. Where the device itself has
        # failed, nothing helps, and the reason is on its way already.
        with contextlib.suppress(RuntimeError):
            scratch = torch.zeros(1, device=torch.device("cuda", index))
            settling = torch.cuda.CUDAGraph()
            for generator in generators:
                settling.register_generator_state(generator)
            _record(settling, torch.cuda.graph_pool_handle(), lambda: scratch.add_(1))
            settling.reset()


class _Replay:
    """A captured graph; calling it replays it."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        LIVE_GRAPHS.add(self)

    def __call__(self) -> None:
        self._graph.replay()


def _record(graph: Any, pool: Any, work: Callable[[], object]) -> None:
    """Capture some work on the current stream; the error of the work comes before that of the capture's end."""
    stream = torch.cuda.current_stream()
    # Other threads may go on working meanwhile, as long as they do not touch this stream.
    graph.capture_begin(pool=pool, capture_error_mode="thread_local")
    try:
        work()
    except BaseException:
        with torch.cuda.stream(stream), contextlib.suppress(RuntimeError):
            graph.capture_end()
        raise
    with torch.cuda.stream(stream):  # whatever the work has left
        graph.capture_end()


def _has_ended(graph: Any) -> bool:
    """Tell whether a capture has ended properly: only then does the graph tell its pool."""
    try:
        graph.pool()
    except RuntimeError:
        return False
    return True


def _end_allocation(index: int, pool: Any) -> None:
    """End the recording into a pool, and its use by the graph that has not come about."""
    for name in _END_ALLOCATION:
        if hasattr(torch._C, name):
            with contextlib.suppress(RuntimeError):  # it had not begun
                getattr(torch._C, name)(index, pool)
                torch._C._cuda_releasePool(index, pool)
            return


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from destroying other graphs in the middle of a capture, which could break it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
