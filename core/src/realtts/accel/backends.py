"""torch's process-wide flags, set around a piece of work and restored after it.

The flags are global to the process, so everything that runs under them holds one lock; it is never held across a
``yield``. Models that should really run in parallel belong in isolated environments.

Two of torch's own choices are not taken by the optimized variant, because they cost too much for shapes that change:
attention by cuDNN, which torch 2.11 and later puts first on Hopper and Blackwell, builds a plan for each new shape (0.4
s), and cuDNN's search for the fastest convolution times all of them for each new shape, and may find another one in
another process. The search is on where a graph is captured, whose shapes stay.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from realtts.machine.hardware import thread_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts.settings import Settings

__all__ = ["FLAGS_LOCK", "SDPA_BACKENDS", "cudnn_search", "ordered", "torch_flags"]

FLAGS_LOCK = threading.RLock()
"""Held by whoever sets a flag of torch that is global to the process, until the flag is restored."""

SDPA_BACKENDS = {"flash": "FLASH_ATTENTION", "efficient": "EFFICIENT_ATTENTION", "math": "MATH"}
"""Kernels of scaled dot-product attention, fastest first, with their names in `torch.nn.attention.SDPBackend`."""

_search = [False]
"""Whether cuDNN may look for the fastest algorithms of what is captured now; changed under the lock."""


@contextlib.contextmanager
def torch_flags(settings: Settings, variant: str, device: str = "cpu") -> Iterator[None]:
    """Run the body with the global torch flags that the settings ask for, alone in the process.

    The plain variant runs with torch's exact float32 (no TF32, no cuDNN search), since it is the reference.

    Args:
        settings: The rung's settings: ``threads``, ``tf32``, ``cudnn_benchmark``, ``matmul_precision``, and
            ``attention`` where it names a kernel of torch.
        variant: ``"optimized"`` or ``"plain"``.
        device: Where the work runs. A CUDA device is the current one in the body, so that streams and events that name
            none are its own.
    """
    import torch

    from realtts.accel.kernels.onednn import bound_caches

    bound_caches()
    on_cuda = device.startswith("cuda") and torch.cuda.is_available()
    current = torch.cuda.device(device) if on_cuda else contextlib.nullcontext()
    with FLAGS_LOCK, current:
        before, searched = _read(torch), _search[0]
        _write(torch, {**before, **_flags(settings, variant)})
        _search[0] = variant == "optimized" and settings.cudnn_benchmark
        try:
            with _attention(settings, variant):
                yield
        finally:
            _write(torch, before)
            _search[0] = searched


@contextlib.contextmanager
def cudnn_search() -> Iterator[None]:
    """Let cuDNN look for the fastest algorithms in the body, where the settings of `torch_flags` around it allow it."""
    import torch

    with FLAGS_LOCK:
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = before or _search[0]
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before


@contextlib.contextmanager
def ordered(first: str) -> Iterator[None]:
    """Run the body with a kernel of attention first in the order in which torch tries them, whether it works or not.

    The order is global to the process, therefore the lock of `torch_flags` is held: never ``yield`` to a caller
    inside.

    Args:
        first: ``flash``, ``efficient`` or ``math``; any other name changes nothing.
    """
    if first not in SDPA_BACKENDS:
        yield
        return
    from torch.nn.attention import SDPBackend, sdpa_kernel

    # The others stay allowed, because a call of another shape may need them; only math allows no other.
    rest = () if first == "math" else tuple(name for name in SDPA_BACKENDS if name != first)
    order = [getattr(SDPBackend, SDPA_BACKENDS[name]) for name in (first, *rest)]
    with FLAGS_LOCK, sdpa_kernel(order, set_priority=True):
        yield


def _attention(settings: Settings, variant: str) -> contextlib.AbstractContextManager[None]:
    """Return the context with torch's kernels in the setting's order; no change for ``auto``, ``sdpa`` and plain."""
    first = {"eager": "math"}.get(settings.attention, settings.attention)
    if variant != "optimized" or first not in {"flash", "efficient", "math"}:
        return contextlib.nullcontext()
    return ordered(first)


def _flags(settings: Settings, variant: str) -> dict[str, Any]:
    optimized = variant == "optimized"
    # Plain computes as upstream does. And who asks for ``sdpa`` leaves the choice to torch.
    own = {"cudnn_attention": False} if optimized and settings.attention != "sdpa" else {}
    return {
        **own,
        # The order matters: setting allow_tf32 changes the matmul precision and the other way round.
        "matmul_precision": settings.matmul_precision if optimized and settings.tf32 else "highest",
        "cudnn_tf32": optimized and settings.tf32,
        "cudnn_benchmark": False,  # see `cudnn_search`
        "threads": thread_count(settings.threads),
    }


def _read(torch: Any) -> dict[str, Any]:
    return {
        "matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_attention": torch.backends.cuda.cudnn_sdp_enabled(),
        "threads": torch.get_num_threads(),
    }


def _write(torch: Any, flags: dict[str, Any]) -> None:
    torch.set_float32_matmul_precision(flags["matmul_precision"])
    torch.backends.cudnn.allow_tf32 = flags["cudnn_tf32"]
    torch.backends.cudnn.benchmark = flags["cudnn_benchmark"]
    torch.backends.cuda.enable_cudnn_sdp(flags["cudnn_attention"])
    if torch.get_num_threads() != flags["threads"]:
        torch.set_num_threads(flags["threads"])
