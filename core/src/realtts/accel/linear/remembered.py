"""The kernel that was found fastest on this machine, kept from start to start.

Two kernels of one precision differ in the last bits of a product. With a choice that is kept, a machine gives the same
audio for the same seed in every process, and the second start has nothing to measure.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

import torch

from realtts.folders import cache_folder, write_whole
from realtts.hardware import cpu_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from realtts.accel.linear.kernels import Kernel

__all__ = ["question_of", "recall", "remember"]


def recall(question: str, candidates: Sequence[Kernel]) -> Kernel | None:
    """The answer that was kept for a question of `question_of`, if it is still among the candidates."""
    try:
        kept = json.loads(_path(question).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict) or kept.get("question") != question:
        return None
    return next((kernel for kernel in candidates if kernel.name == kept.get("kernel")), None)


def remember(question: str, kernel: Kernel) -> None:
    """Keep an answer; a folder that cannot be written is no error, the next process measures again."""
    path = _path(question)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"question": question, "kernel": kernel.name}).encode())


def question_of(candidates: Sequence[Kernel], sample: Sequence[Tensor], rows: Sequence[int]) -> str:
    """All that the answer depends on, as text."""
    device = sample[0].device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
    return json.dumps({
        "machine": f"{device.type} {name}",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "kernels": [f"{kernel.precision} {kernel.name}" for kernel in candidates],
        "weights": [list(weight.shape) for weight in sample],
        "rows": list(rows),
    })  # fmt: skip


def _path(question: str) -> Path:
    return cache_folder() / "kernels" / f"{hashlib.sha256(question.encode()).hexdigest()[:32]}.json"
