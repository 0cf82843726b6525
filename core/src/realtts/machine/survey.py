"""The machine, for `realtts doctor` and for records of benchmarks. Every probe answers, whatever is broken."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from realtts.audio import players
from realtts.documents import parse_json
from realtts.machine import hardware

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["audio", "cpu", "disk", "gpus", "memory", "python", "torch"]

_TELLING = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_bf16", "amx_int8", "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2", "svebf16",
)  # fmt: skip
"""CPU features that decide how fast a model runs."""

_SMI_SECONDS = 10.0
_TORCH_SECONDS = 120.0
_TORCH_PROBE = """
import json, torch
cuda = torch.cuda.is_available()
mps = getattr(torch.backends, "mps", None)
print(json.dumps({
    "version": torch.__version__,
    "cuda_build": torch.version.cuda,
    "hip_build": getattr(torch.version, "hip", None),
    "cuda_available": cuda,
    "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
    "mps": bool(mps and mps.is_available()),
}))
"""


def python() -> dict[str, Any]:
    """Describe the interpreter and the system below it."""
    return {
        "version": platform.python_version(),
        "executable": sys.executable,
        "virtual_environment": sys.prefix if sys.prefix != sys.base_prefix else os.environ.get("CONDA_PREFIX"),
        "system": platform.platform(),
    }


def cpu() -> dict[str, Any]:
    """Describe the CPU: name, cores, and the features that matter."""
    features = hardware.cpu_features()
    return {
        "name": hardware.cpu_name(),
        "physical_cores": hardware.physical_cores(),
        "features": [feature for feature in _TELLING if feature in features],
    }


def memory() -> dict[str, int]:
    """Return the bytes of main memory."""
    import psutil

    usage = psutil.virtual_memory()
    return {"total": int(usage.total), "available": int(usage.available)}


def disk(folder: Path) -> dict[str, Any]:
    """Describe the free space of a folder, which need not exist yet."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return {
        "folder": str(folder),
        "free": shutil.disk_usage(place).free,
        "writable": place.is_dir() and os.access(place, os.W_OK),
    }


def gpus() -> list[dict[str, str]]:
    """List NVIDIA devices as the driver's own tool sees them, whether torch does or not."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    fields = ("name", "driver_version", "memory.total", "compute_cap")
    answer = _ask([program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader"], _SMI_SECONDS)
    if isinstance(answer, str):
        return []
    rows = [line.split(", ") for line in answer.stdout.splitlines() if line.count(", ") == len(fields) - 1]
    return [dict(zip(("name", "driver", "memory", "compute_capability"), row, strict=True)) for row in rows]


def torch() -> dict[str, Any]:
    """Describe the build of torch, in a process of its own: importing a broken one may kill the process."""
    if importlib.util.find_spec("torch") is None:
        return {"installed": False}
    # The folder that we happen to stand in must not be imported from.
    answer = _ask([sys.executable, "-c", _TORCH_PROBE], _TORCH_SECONDS, PYTHONSAFEPATH="1")
    if isinstance(answer, str):
        return {"installed": True, "error": answer}
    try:
        return {"installed": True, "error": None, **parse_json(answer.stdout.splitlines()[-1])}
    except (ValueError, IndexError, TypeError):
        return {"installed": True, "error": "it gave no answer"}


def audio() -> dict[str, Any]:
    """Describe libsndfile and the programs that play."""
    facts: dict[str, Any] = {"players": [player.name for player in players.installed_players()]}
    try:
        import soundfile

        formats = soundfile.available_formats()
        return {
            **facts,
            "libsndfile": soundfile.__libsndfile_version__,
            "mp3": "MP3" in formats,
            "opus": "OPUS" in soundfile.available_subtypes("OGG"),
            "error": None,
        }
    except Exception as error:
        return {**facts, "libsndfile": None, "mp3": False, "opus": False, "error": str(error)}


def _ask(command: list[str], seconds: float, **environment: str) -> subprocess.CompletedProcess[str] | str:
    """Run a program and return its answer, or why there is none."""
    try:
        answer = subprocess.run(  # noqa: S603 - programs named above
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:g} s"
    except OSError as error:
        return str(error)
    if answer.returncode == 0:
        return answer
    lines = answer.stderr.strip().splitlines()
    return lines[-1] if lines else f"it ended with code {answer.returncode}"
