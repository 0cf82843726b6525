"""The streams of CUDA devices, and what libraries keep for each of them.

cuBLAS takes a workspace for each stream that it is called on (32 MiB on Hopper) and keeps it until the process ends. So
each device has two streams beside the usual one, whoever uses them. On ``"capture"`` graphs are warmed up and captured,
and what a warm-up has allocated there serves the capture behind it. On ``"beside"`` that is done for graphs that are
replayed there, too, such as a decode loop's: a captured kernel keeps the workspace of its stream, which no other kernel
may use at the same time. Not run on a GPU yet.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import TYPE_CHECKING, Literal

import torch

from realtts.accel.backends import FLAGS_LOCK
from realtts.machine import memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    Purpose = Literal["beside", "capture"]

__all__ = ["CAPTURE_LOCK", "LIVE_GRAPHS", "beside", "release_device_memory", "side_stream", "used_here"]

CAPTURE_LOCK = threading.RLock()
"""Held by whoever captures, and by whoever gives memory back: no block may be freed in the middle of a capture."""

LIVE_GRAPHS: weakref.WeakSet[object] = weakref.WeakSet()
"""Captured graphs that can still be replayed; they use the workspaces that were there when they were captured."""

_SIDE_STREAMS: dict[tuple[int, Purpose], torch.cuda.Stream] = {}
_STREAMS_LOCK = threading.Lock()


def side_stream(device: torch.device | str, purpose: Purpose = "beside") -> torch.cuda.Stream:
    """Return the stream of a CUDA device for a purpose, made when it is first asked for."""
    place = torch.device(device)
    index = torch.cuda.current_device() if place.index is None else place.index  # type: ignore[redundant-expr]
    with _STREAMS_LOCK:
        if (index, purpose) not in _SIDE_STREAMS:
            _SIDE_STREAMS[index, purpose] = torch.cuda.Stream(index)
        return _SIDE_STREAMS[index, purpose]


@contextlib.contextmanager
def beside(device: torch.device | str, *, joined: bool = False, purpose: Purpose = "beside") -> Iterator[None]:
    """Queue what the body computes on a side stream of a device, behind what the current stream has now.

    Tensors that are made in the body belong to the side stream, and those of other streams that may be freed while the
    body's work is still queued are to be noted, see `used_here`.

    Args:
        device: A CUDA device; it is the current one in the body.
        joined: Whether the current stream waits for the body's work. If not, whoever needs a result waits for an event.
        purpose: Which of the side streams.
    """
    with torch.cuda.device(device):
        side, current = side_stream(device, purpose), torch.cuda.current_stream()
        if current == side:
            yield
            return
        side.wait_stream(current)
        try:
            with torch.cuda.stream(side):
                yield
        finally:
            if joined:
                current.wait_stream(side)


def used_here(*tensors: torch.Tensor) -> None:
    """Note that the current stream uses tensors of other streams: their memory is not given away before it is done."""
    for tensor in tensors:
        if tensor.device.type == "cuda":
            tensor.record_stream(torch.cuda.current_stream(tensor.device))


def release_device_memory() -> None:
    """Give back to CUDA what nobody uses: the allocator's free blocks and, when no graph is left, cuBLAS' workspaces.

    What stays is the context of CUDA itself with the kernels that it has loaded, which the process cannot give back,
    and what other models use.
    """
    with FLAGS_LOCK, CAPTURE_LOCK:  # in this order as everywhere; no stage of another provider multiplies meanwhile
        clear = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)
        if clear is not None and not LIVE_GRAPHS:
            clear()
        torch.cuda.empty_cache()


memory.release_device_by(release_device_memory)
