"""The time of some work on a device: on CUDA without that of its launches, as a graph replays it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["replayed"]

_REPLAYS = 20


def replayed(work: Callable[[], object], device: torch.device, *, passes: int = 5) -> float:
    """Return the seconds that some work takes, the best of some passes. Its CUDA path has not run on a GPU yet.

    Args:
        work: Repeats itself on the same tensors.
        device: Where it runs. On CUDA it is captured and replayed between two events.
        passes: How often it is timed.
    """
    if device.type != "cuda":
        return min(_seconds(work) for _ in range(passes))
    with torch.cuda.device(device):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            work()  # libraries make their choices and Triton compiles, before anything is captured
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
        times: list[float] = []
        for _ in range(passes):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for _ in range(_REPLAYS):
                graph.replay()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) / 1000 / _REPLAYS)
    return min(times)


def _seconds(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before
