"""The kernels of one request by their time, and a trace of it."""

from __future__ import annotations

import gzip
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu.setup import MODELS

if TYPE_CHECKING:
    from gpu.setup import Setup

__all__ = ["measure"]

_KERNELS = 60
_LARGEST_TRACE = 15 << 20


def measure(setup: Setup, name: str) -> None:
    """Write down the kernels, and the trace beside the findings."""
    with setup.findings.measuring("profile", name) as result:
        import torch

        from realtts.bench import Text, Workload
        from realtts.bench.subject import Subject

        model = MODELS[name]
        settings = {
            **setup.common, "model": str(setup.checkpoint(name)), "quantization": "none",
            "force_tokens_per_char": model.profile_rate, "dtype": "float32" if setup.dry else "bfloat16",
            **({} if setup.dry else {"cuda_graphs": True}),
        }  # fmt: skip
        work = Workload((Text(setup.text),), tokens=None, options=dict(model.options))
        with Subject(setup.spec(name), settings) as subject:  # in this thread, whose operators are seen
            subject.whole([subject.plan(work.texts[0], work)])
            plan = subject.plan(work.texts[0], work)
            activities = [torch.profiler.ProfilerActivity.CPU]
            if not setup.dry:
                activities.append(torch.profiler.ProfilerActivity.CUDA)
            with torch.profiler.profile(activities=activities) as profile:
                began = time.perf_counter()
                subject.whole([plan])
                result["request_s"] = time.perf_counter() - began
        _sum_up(setup, profile, result)
        result["trace"] = _keep_trace(setup, profile, name)


def _sum_up(setup: Setup, profile: Any, result: dict[str, Any]) -> None:
    averages = profile.key_averages()
    time_of = "self_cpu_time_total" if setup.dry else "self_device_time_total"
    rows = sorted(averages, key=lambda row: -getattr(row, time_of, 0))[:_KERNELS]
    result["kernels"] = [[row.key[:110], row.count, round(getattr(row, time_of, 0), 1)] for row in rows]
    result["launches"] = sum(row.count for row in averages if getattr(row, "self_device_time_total", 0))


def _keep_trace(setup: Setup, profile: Any, name: str) -> str:
    trace = setup.out / f"{name}.trace.json"
    profile.export_chrome_trace(str(trace))
    packed = Path(f"{trace}.gz")
    with trace.open("rb") as raw, gzip.open(packed, "wb", compresslevel=6) as file:
        shutil.copyfileobj(raw, file)
    trace.unlink()
    if packed.stat().st_size > _LARGEST_TRACE:
        packed.unlink()
        return f"left out: it is larger than {_LARGEST_TRACE >> 20} MiB"
    return packed.name
