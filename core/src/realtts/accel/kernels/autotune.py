"""What was found fastest on this machine, kept from start to start.

Two kernels for one product differ in the last bits. With a choice that is kept, a machine gives the same audio for the
same seed in every process, and the second start has nothing to measure. The answers lie in the folder ``measured`` of
the cache; deleting it measures again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch

from realtts.folders import write_whole
from realtts.machine.hardware import cpu_name
from realtts.settings_sources import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["measured"]


def measured(
    question: Mapping[str, Any], choices: Sequence[str], measure: Callable[[], str], device: torch.device
) -> str:
    """The answer that is kept for a question, or a new one, which is kept then.

    Args:
        question: All that the answer depends on beside the machine, torch and its threads; JSON-able.
        choices: What the answer may be. One that is kept and is not among them is measured again.
        measure: Finds the fastest choice.
        device: Where it is measured.
    """
    asked = json.dumps({**question, "choices": list(choices), **_machine(device)}, sort_keys=True)
    path = cache_dir() / "measured" / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.json"
    kept = _read(path, asked)
    if kept in choices:
        return str(kept)
    answer = measure()
    with contextlib.suppress(OSError):  # the next process measures again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"question": asked, "answer": answer}).encode())
    return answer


def _machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
    return {"device": f"{device.type} {name}", "torch": torch.__version__, "threads": torch.get_num_threads()}


def _read(path: Path, asked: str) -> Any:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return kept.get("answer") if isinstance(kept, dict) and kept.get("question") == asked else None
