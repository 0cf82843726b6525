"""The physical floor: how fast this machine reads memory and multiplies, and what that means for a stage.

No implementation of a stage can be faster than the bytes that it must read over the memory's bandwidth, nor faster
than the operations that it needs over the rate of the arithmetic. Both rates are measured, not looked up, with the
threads that the provider gets.

The bandwidth is measured once and kept in the folder ``bandwidth`` of the cache: what other programs leave of it varies
from second to second (45 to 78 GB/s were measured on one machine), and two reports are only compared over one floor.
Deleting the folder measures again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from realtts.documents import DocumentError, read_json_table
from realtts.folders import write_whole
from realtts.machine.hardware import cpu_name
from realtts.settings_sources import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import torch

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.stages import StageWork
    from realtts.settings import Settings

__all__ = ["floor_of", "measure_floor", "torch_rates"]

_READ_BYTES = 256 << 20
"""Far more than the last cache level of common processors holds."""

_DEVICE_BYTES = 4 << 30
"""Far more than a GPU's last cache, and long enough to read that its launch does not count: 0.9 ms on an H200."""

_DEVICE_RUNS = 8
"""Runs between two waits for the device, which take some microseconds each."""

_SIDE = 1024
"""Side of the matrices that are multiplied: large enough to be bound by arithmetic."""

_BUDGET_S = 0.15
"""For each kernel; the best of what fits is taken."""

_MOST_ROUNDS = 20

_BANDWIDTH_S, _BANDWIDTH_ROUNDS = 1.5, 400
"""For the bandwidth, which is measured once: the best of many, since other programs can only take of it."""

_ELSEWHERE = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
_ON_CPU = {"float32": "fp32", "bfloat16": "bf16", "int8": "int8"}
"""Types that are measured, and what `realtts.accel.kernels` calls them."""


def measure_floor(spec: ProviderSpec, device: str, settings: Settings) -> dict[str, Any]:
    """Measure the machine's rates for a provider.

    Args:
        spec: Providers on torch are measured with torch, on their device; others with numpy, in one thread.
        device: Where it runs.
        settings: Their ``threads`` are used.

    Returns:
        ``bytes_per_s`` (reading) and ``bandwidth_measured`` (the day of it), ``flops_per_s`` by dtype, ``device`` and
        ``method``.
    """
    if not spec.torch:
        return _with_numpy()
    from realtts.accel.backends import torch_flags

    with torch_flags(settings, "optimized"):
        return torch_rates(device)


def floor_of(work: StageWork, rates: Mapping[str, Any]) -> float | None:
    """Return the least seconds that the work takes at these rates; None when nothing was counted.

    A dtype whose rate was not measured is held against the bytes alone. Where float32 may be multiplied as TF32, it is
    held against that.
    """
    by_bytes = work.bytes / rates["bytes_per_s"]
    rate = rates["flops_per_s"].get(work.dtype)
    if work.dtype == "float32":
        rate = rates["flops_per_s"].get("tf32", rate)
    by_flops = work.flops / rate if rate else 0.0
    return max(by_bytes, by_flops) or None


def _with_numpy() -> dict[str, Any]:
    import numpy as np

    def read() -> float:
        block = np.ones(_affordable() // 8, np.float64)
        return block.nbytes / _best(block.sum, seconds=_BANDWIDTH_S, most=_BANDWIDTH_ROUNDS)

    side = np.ones((_SIDE, _SIDE), np.float32)
    product = _best(lambda: side @ side)
    return {
        "device": "cpu",
        "method": "numpy: sum of float64 in one thread, matrix product with the threads of its BLAS",
        **_bandwidth({"by": f"numpy {np.__version__}", "device": cpu_name()}, read),
        "flops_per_s": {"float32": 2 * _SIDE**3 / product},
    }


def torch_rates(device: str) -> dict[str, Any]:
    """Measure the rates of torch on a device with its present threads; returned as by `measure_floor`."""
    import torch

    on_cuda, on_cpu = device.startswith("cuda"), device.startswith("cpu")
    wait: Callable[[], None] = functools.partial(torch.cuda.synchronize, device) if on_cuda else _nothing
    threads, runs = torch.get_num_threads(), _DEVICE_RUNS if on_cuda else 1
    question = {
        "by": f"torch {torch.__version__}",
        "device": cpu_name() if on_cpu else torch.cuda.get_device_name(device) if on_cuda else device,
        "threads": threads if on_cpu else 0,
    }

    def read() -> float:
        room = min(_DEVICE_BYTES, torch.cuda.mem_get_info(device)[0] // 8) if on_cuda else _affordable()
        block = torch.ones(room // 4, dtype=torch.float32, device=device)
        return block.nbytes / _best(block.sum, wait, seconds=_BANDWIDTH_S, most=_BANDWIDTH_ROUNDS, runs=runs)

    with torch.inference_mode():
        bandwidth = _bandwidth(question, read)
        rates = _product_rates(torch.device(device), wait)
    return {
        "device": device,
        "method": f"torch: sum of float32, matrix products by the fastest kernel, {threads} threads",
        **bandwidth,
        "flops_per_s": rates,
    }


def _product_rates(device: torch.device, wait: Callable[[], None]) -> dict[str, float]:
    """Return the rate of each dtype's fastest kernel in `realtts.accel.kernels`; a dtype without one is left out.

    Where the settings allow TF32, its rate is ``tf32``, and that of ``float32`` is measured without it.
    """
    import torch

    from realtts.accel.kernels import kernels_for, native_kernels

    on_cpu = device.type == "cpu"
    # On CUDA a product of this size is over before its launch; on a CPU a larger one takes too long.
    side = _SIDE if on_cpu else 8 * _SIDE
    # No ones: where all bits are alike a GPU needs less power, and is faster than it ever is at work.
    weight = torch.linspace(0, side, side * side, device=device).sin_().view(side, side)
    rates: dict[str, float] = {}
    types = _ON_CPU if on_cpu else {**_ELSEWHERE, **({"tf32": "fp32"} if _allows_tf32(device) else {})}
    runs = _DEVICE_RUNS if device.type == "cuda" else 1
    for name, precision in types.items():
        x = weight if name in {"int8", "tf32"} else weight.to(getattr(torch, name))
        for kernel in (*kernels_for(precision, device), *native_kernels(precision, device)):
            with contextlib.suppress(RuntimeError), _exact(device, exact=name == "float32"):
                # no memory for it, or no such product of this size
                seconds = _best(functools.partial(kernel.run, kernel.pack(weight, None), x), wait, runs=runs)
                rates[name] = max(rates.get(name, 0.0), 2.0 * side**3 / seconds)
    if "bfloat16" in rates:
        # weights alone in int8 are multiplied in bfloat16
        rates["int8"] = max(rates.get("int8", 0.0), rates["bfloat16"])
    return rates


def _allows_tf32(device: torch.device) -> bool:
    """Tell whether float32 is multiplied as TF32 where that exists."""
    import torch

    return device.type == "cuda" and torch.get_float32_matmul_precision() != "highest"


@contextlib.contextmanager
def _exact(device: torch.device, *, exact: bool) -> Iterator[None]:
    """Multiply float32 as float32 in the body; called inside `torch_flags`, whose lock is held."""
    import torch

    before = torch.get_float32_matmul_precision()
    if exact and device.type == "cuda":
        torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        if before != torch.get_float32_matmul_precision():
            torch.set_float32_matmul_precision(before)


def _bandwidth(question: Mapping[str, Any], measure: Callable[[], float]) -> dict[str, Any]:
    """Return the bandwidth and the day of its measurement: as it is kept, else as it is measured now, and then kept.

    Args:
        question: All that it depends on, JSON-able.
        measure: Measures bytes per second.
    """
    key = json.dumps(question, sort_keys=True)
    path = cache_dir() / "bandwidth" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    try:
        kept = read_json_table(path)
        value, day = kept["bytes_per_s"], kept["measured"]
        if kept["question"] == key and isinstance(value, float) and value > 0 and isinstance(day, str):
            return {"bytes_per_s": value, "bandwidth_measured": day}
    except (DocumentError, KeyError):
        pass
    value, day = measure(), time.strftime("%Y-%m-%d")
    with contextlib.suppress(OSError):  # the next process measures again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"question": key, "bytes_per_s": value, "measured": day}).encode())
    return {"bytes_per_s": value, "bandwidth_measured": day}


def _best(
    run: Callable[[], Any],
    wait: Callable[[], None] | None = None,
    *,
    seconds: float = _BUDGET_S,
    most: int = _MOST_ROUNDS,
    runs: int = 1,
) -> float:
    """Return the shortest time of a run, of a few times so many runs; the first run is left out."""
    wait = wait or _nothing
    run()
    wait()
    best, began = float("inf"), time.perf_counter()
    for _ in range(most):
        started = time.perf_counter()
        for _ in range(runs):
            run()
        wait()
        ended = time.perf_counter()
        best = min(best, (ended - started) / runs)
        if ended - began > seconds:
            break
    return best


def _affordable() -> int:
    """Return how many bytes to read: a sixteenth of what is free on a small machine."""
    import psutil

    return int(min(_READ_BYTES, max(16 << 20, psutil.virtual_memory().available // 16)))


def _nothing() -> None:
    """Do nothing: the host has nothing to wait for."""
