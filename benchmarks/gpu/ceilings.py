"""The machine: versions, the card, its ceilings, the order of attention kernels, and what can be imported."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu.setup import Setup

__all__ = ["look"]

_DISTRIBUTIONS = (
    "transformers", "triton", "torchaudio", "numpy", "tokenizers", "huggingface_hub", "chatterbox-tts", "f5-tts",
    "qwen-tts", "faster-qwen3-tts",
)  # fmt: skip
_MODULES = (
    "realtts", "realtts_chatterbox.testing", "realtts_f5.testing", "realtts_qwen3.testing", "realtts_vieneu.testing",
    "chatterbox.models.t3", "s3tokenizer", "vocos", "sea_g2p", "triton",
)  # fmt: skip
_QUERY = "driver_version,clocks.sm,clocks.max.sm,memory.used"


def look(setup: Setup) -> None:
    """Write down what the machine is."""
    import torch

    findings = setup.findings
    with findings.measuring("env", "versions") as result:
        result.update(python=sys.version, torch=torch.__version__, cuda=torch.version.cuda)
        result["cudnn"] = torch.backends.cudnn.version()
        for name in _DISTRIBUTIONS:
            with contextlib.suppress(metadata.PackageNotFoundError):
                result[name] = metadata.version(name)
    with findings.measuring("env", "device") as result:
        result.update(_card() if not setup.dry else {"device": "CPU (dry run)"})
        result["sdp_order"] = [int(kernel) for kernel in torch._C._get_sdp_priority_order()]
        result["cores"] = os.cpu_count()
    for name in _MODULES:
        with findings.measuring("env", f"import {name}") as result:
            importlib.import_module(name)
            result["ok"] = True
    with findings.measuring("env", "ceilings") as result:
        _measure_ceilings(setup, result)
    with findings.measuring("env", "floor of realtts bench") as result:
        from realtts.bench.floor import torch_rates

        result.update(torch_rates(setup.kind))


def _card() -> dict[str, Any]:
    import torch

    about = torch.cuda.get_device_properties(0)
    command = ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(  # noqa: S603 - the driver's own program
            command, capture_output=True, text=True, check=False, timeout=20
        )
        smi = answer.stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        smi = str(error)
    return {
        "device": about.name,
        "multiprocessors": about.multi_processor_count,
        "memory": about.total_memory,
        "capability": [about.major, about.minor],
        "l2": getattr(about, "L2_cache_size", None),
        "smi": smi,
    }


def _measure_ceilings(setup: Setup, result: dict[str, Any]) -> None:
    """Measure what no kernel can beat: bytes copied and read, and products of large matrices."""
    import torch

    count = 1 << (20 if setup.dry else 30)
    source = torch.randn(count, device=setup.device)
    target = torch.empty_like(source)

    def copy() -> object:
        return target.copy_(source)

    result["copy_GBps"] = 2 * source.nbytes / setup.timed(copy, repeats=10) / 1e3
    result["read_GBps"] = source.nbytes / setup.timed(source.sum, repeats=10) / 1e3
    size = 128 if setup.dry else 8192
    for dtype in (torch.bfloat16, torch.float32):
        left, right = (torch.randn(size, size, device=setup.device).to(dtype) for _ in range(2))
        product = setup.timed(lambda left=left, right=right: left @ right, repeats=10)  # type: ignore[misc]
        result[f"matmul_TFLOPs_{dtype}".replace("torch.", "")] = 2 * size**3 / product / 1e6
