"""The physical floor: how fast this machine reads memory and multiplies, and what that means for a stage.

No implementation of a stage can be faster than the bytes that it must read over the memory's bandwidth, nor faster
than the operations that it needs over the rate of the arithmetic. Both rates are measured, not looked up, with the
threads that the provider gets.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.settings import Settings
    from realtts.spec import ProviderSpec
    from realtts.stages import StageWork

__all__ = ["floor_of", "measure_floor", "torch_rates"]

_READ_BYTES = 256 << 20
"""Far more than the last cache level of common processors holds."""

_SIDE = 1024
"""Side of the matrices that are multiplied: large enough to be bound by arithmetic."""

_BUDGET_S = 0.3
"""For each figure; the best of what fits is taken."""

_MOST_ROUNDS = 20


def measure_floor(spec: ProviderSpec, device: str, settings: Settings) -> dict[str, Any]:
    """The machine's rates for a provider.

    Args:
        spec: Providers on torch are measured with torch, on their device; others with numpy, in one thread.
        device: Where it runs.
        settings: Their ``threads`` are used.

    Returns:
        ``bytes_per_s`` (reading), ``flops_per_s`` by dtype, ``device`` and ``method``.
    """
    if not spec.torch:
        return _with_numpy()
    from realtts.accel.backends import torch_flags

    with torch_flags(settings, "optimized"):
        return torch_rates(device)


def floor_of(work: StageWork, rates: Mapping[str, Any]) -> float | None:
    """The least seconds that the work takes at these rates; None when nothing was counted.

    A dtype whose rate was not measured is held against the bytes alone.
    """
    by_bytes = work.bytes / rates["bytes_per_s"]
    rate = rates["flops_per_s"].get(work.dtype)
    by_flops = work.flops / rate if rate else 0.0
    return max(by_bytes, by_flops) or None


def _with_numpy() -> dict[str, Any]:
    import numpy as np

    block = np.ones(_affordable() // 8, np.float64)
    read = _best(block.sum)
    side = np.ones((_SIDE, _SIDE), np.float32)
    product = _best(lambda: side @ side)
    return {
        "device": "cpu",
        "method": "numpy: sum of float64 in one thread, matrix product with the threads of its BLAS",
        "bytes_per_s": block.nbytes / read,
        "flops_per_s": {"float32": 2 * _SIDE**3 / product},
    }


def torch_rates(device: str) -> dict[str, Any]:
    """The rates of torch on a device, with the threads that it has now; as `measure_floor` returns them."""
    import torch

    wait: Callable[[], None] = torch.cuda.synchronize if device.startswith("cuda") else _nothing
    with torch.inference_mode():
        block = torch.ones(_affordable() // 4, dtype=torch.float32, device=device)
        read = _best(block.sum, wait)
        rates = {}
        for name in ("float32", "bfloat16", "float16") if device != "cpu" else ("float32", "bfloat16"):
            with contextlib.suppress(RuntimeError):  # a type that the device cannot multiply has no rate
                rates[name] = _torch_rate(torch, name, device, wait)
    return {
        "device": device,
        "method": f"torch: sum of float32 and matrix products, {torch.get_num_threads()} threads",
        "bytes_per_s": block.nbytes / read,
        "flops_per_s": rates,
    }


def _torch_rate(torch: Any, dtype: str, device: str, wait: Callable[[], None]) -> float:
    # On CUDA a product of this size is over before its launch; on a CPU a larger one takes too long.
    side = _SIDE if device == "cpu" else 8 * _SIDE
    matrix = torch.ones(side, side, dtype=getattr(torch, dtype), device=device)
    return 2.0 * side**3 / _best(lambda: matrix @ matrix, wait)


def _best(run: Callable[[], Any], wait: Callable[[], None] | None = None) -> float:
    """Shortest time of a few runs, the first one left out."""
    wait = wait or _nothing
    run()
    wait()
    best, began = float("inf"), time.perf_counter()
    for _ in range(_MOST_ROUNDS):
        started = time.perf_counter()
        run()
        wait()
        ended = time.perf_counter()
        best = min(best, ended - started)
        if ended - began > _BUDGET_S:
            break
    return best


def _affordable() -> int:
    """Bytes to read: a sixteenth of what is free on a small machine."""
    import psutil

    return int(min(_READ_BYTES, max(16 << 20, psutil.virtual_memory().available // 16)))


def _nothing() -> None:
    """The host has nothing to wait for."""
