"""Choosing the fastest way on this machine once, and keeping the choice from process to process.

Two kernels for one product differ in the last bits. With a choice that is kept, a machine gives the same audio for the
same seed in every process, and the second start has nothing to measure. The choices lie in the folder ``autotune`` of
the cache; deleting it measures again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch

from realtts.documents import DocumentError, read_json_table
from realtts.folders import write_whole
from realtts.machine.hardware import cpu_name
from realtts.settings_sources import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["autotune", "stored_answer"]


def autotune(
    question: Mapping[str, Any], choices: Sequence[str], measure: Callable[[], str], device: torch.device
) -> str:
    """Return the fastest of some choices: the stored answer to the question, or a new one, which is stored.

    Args:
        question: All that the answer depends on beside the machine, torch and its threads; JSON-able.
        choices: What the answer may be. A stored answer that is not among them is measured again.
        measure: Measures, and returns the fastest choice.
        device: Where it is measured.
    """
    key, path = _place(question, choices, device)
    stored = _read(path, key, choices)
    if stored is not None:
        return stored
    answer = measure()
    with contextlib.suppress(OSError):  # the next process measures again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"question": key, "answer": answer}).encode())
    return answer


def stored_answer(question: Mapping[str, Any], choices: Sequence[str], device: torch.device) -> str | None:
    """Return what `autotune` would return without measuring; None: it would measure."""
    key, path = _place(question, choices, device)
    return _read(path, key, choices)


def _place(question: Mapping[str, Any], choices: Sequence[str], device: torch.device) -> tuple[str, Path]:
    """Return the whole question, and the file of its answer."""
    key = json.dumps({**question, "choices": list(choices), **_machine(device)}, sort_keys=True)
    return key, cache_dir() / "autotune" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
    return {"device": f"{device.type} {name}", "torch": torch.__version__, "threads": torch.get_num_threads()}


def _read(path: Path, key: str, choices: Sequence[str]) -> str | None:
    try:
        content = read_json_table(path)
    except DocumentError:
        return None
    # The whole question is compared: the file's name is only a part of its hash.
    answer = content.get("answer") if content.get("question") == key else None
    return answer if answer in choices else None
