"""CPU features and CUDA of this machine, and the device and dtype that follow from them."""

from __future__ import annotations

import functools
import logging
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.errors import SettingsError
from realtts.kit.onnx import onnx_devices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.contract.spec import ProviderSpec

__all__ = [
    "cpu_features",
    "cuda_capability",
    "physical_cores",
    "resolve_device",
    "resolve_dtype",
    "slow_dtype",
    "thread_count",
]

_MOST_THREADS = 1024

BF16_CPU_FEATURES = frozenset({"amx_bf16", "avx512_bf16", "bf16", "svebf16"})
"""Instructions that multiply bfloat16 natively (x86 and Arm names)."""

FP16_CPU_FEATURES = frozenset({"amx_fp16", "avx512_fp16", "asimdhp", "fphp"})
"""Instructions that multiply float16 natively (x86 and Arm names)."""

INT8_CPU_FEATURES = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "feat_dotprod"})
"""Instructions that multiply 8-bit integers and add in 32 bits (x86 and Arm names)."""


@functools.cache
def cpu_features() -> frozenset[str]:
    """Return the CPU's instruction-set flags as the operating system names them; empty when it does not say."""
    if sys.platform == "darwin":  # pragma: no cover - not on the machines that run the tests
        command = ["sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - fixed command
        return frozenset(answer.lower().split())
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(flags, "").split())


@functools.cache
def physical_cores() -> int:
    """Return how many physical cores this process may use; at least 1."""
    import psutil

    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    if hasattr(psutil.Process, "cpu_affinity"):
        # A container or taskset may allow fewer than the machine has.
        return max(1, min(physical, len(psutil.Process().cpu_affinity())))
    return physical  # pragma: no cover - platforms without affinity


def thread_count(setting: int | str) -> int:
    """Return the compute threads for the setting ``threads``.

    Args:
        setting: A number, or ``"auto"``: what ``OMP_NUM_THREADS`` or ``MKL_NUM_THREADS`` say, which the libraries below
            torch obey, else the physical cores.
    """
    return (_threads_in(os.environ) or physical_cores()) if setting == "auto" else int(setting)


def _threads_in(environ: Mapping[str, str]) -> int | None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        first = environ.get(name, "").partition(",")[0].strip()  # one number per level of nesting
        if first.isascii() and first.isdigit() and 1 <= int(first[:5]) <= _MOST_THREADS:
            return int(first[:5])
    return None


def cpu_name() -> str:
    """Return the model name of the CPU, for reports."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def cuda_capability(index: int = 0) -> tuple[int, int] | None:
    """Return a CUDA device's compute capability, None without torch or the device. Imports torch."""
    torch = _torch()
    if torch is None or not torch.cuda.is_available() or index >= torch.cuda.device_count():
        return None
    major, minor = torch.cuda.get_device_capability(index)
    return int(major), int(minor)


def _torch() -> Any:
    """Import a module; None when it is missing or cannot be imported (libraries that do not fit raise OSError)."""
    try:
        import torch
    except ImportError:
        return None
    except Exception:
        logging.getLogger("realtts").exception("torch is installed but cannot be imported")
        return None
    return torch


def resolve_device(setting: str, spec: ProviderSpec, source: str | None = None) -> str:
    """Return the device: ``"cpu"``, ``"mps"`` or ``"cuda:N"``.

    Of CUDA torch is asked for a provider on torch, and ONNX Runtime for any other, so that neither needs the other.

    Args:
        setting: The setting ``device``.
        spec: Provider that will run there.
        source: Where the setting came from; a value that only the environment or a file gives does not forbid
            providers that cannot use it.

    Raises:
        SettingsError: The device was asked for and is not there.
    """
    kind = setting.partition(":")[0]
    if kind == "auto":
        available = (_available(device, spec) for device in spec.devices)
        return next((device for device in available if device is not None), "cpu")
    if kind not in spec.devices:
        if source is not None and not source.startswith(("keyword", "settings")):
            return resolve_device("auto", spec)
        raise SettingsError(
            f"provider {spec.name!r} cannot run on {setting!r}",
            who="device",
            fix=f"choose from auto, {', '.join(spec.devices)}",
        )
    device = _available(setting, spec)
    if device is not None:
        return device
    if kind == "cuda" and _asks_onnx(spec):
        what = "ONNX Runtime as installed has no CUDAExecutionProvider"
        fix = "install onnxruntime-gpu in place of onnxruntime, or use device='auto'"
    else:
        what = "torch sees no such device"
        fix = "run 'realtts doctor' to see why, or use device='auto'"
    raise SettingsError(f"{setting!r} was asked for, but {what}", who="device", fix=fix)


def _asks_onnx(spec: ProviderSpec) -> bool:
    """Tell whether ONNX Runtime is asked for CUDA: the provider does not run on torch, and it is installed."""
    return not spec.torch and onnx_devices() is not None


def _available(device: str, spec: ProviderSpec) -> str | None:
    """Return the device with its index if it can be used, else None."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        number = int(index or 0)
        there = "cuda" in (onnx_devices() or ()) if _asks_onnx(spec) else cuda_capability(number) is not None
        return f"cuda:{number}" if there else None
    if kind == "mps":
        torch = _torch()
        return "mps" if torch is not None and torch.backends.mps.is_available() else None
    return "cpu"


def slow_dtype(dtype: str, device: str) -> bool:
    """Tell whether the CPU has no instructions for a type of half precision, so that float32 is faster on it."""
    wanted = {"bfloat16": BF16_CPU_FEATURES, "float16": FP16_CPU_FEATURES}.get(dtype)
    return device == "cpu" and wanted is not None and not cpu_features() & wanted


def resolve_dtype(setting: str, device: str) -> str:
    """Return the compute type: the setting's, else what the device multiplies fast.

    CUDA: bfloat16 from compute capability 8.0, float16 from 6.0, float32 below. CPU: bfloat16 only where the
    instructions exist. MPS: float16.
    """
    if setting != "auto":
        return setting
    if device.startswith("cuda"):
        capability = cuda_capability(int(device.partition(":")[2] or 0)) or (0, 0)
        return "bfloat16" if capability >= (8, 0) else "float16" if capability >= (6, 0) else "float32"
    if device == "mps":
        return "float16"
    return "bfloat16" if cpu_features() & BF16_CPU_FEATURES else "float32"
