"""What every stage is given: where, on what, and how to time it."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpu.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realtts.contract.spec import ProviderSpec

__all__ = ["MODELS", "Model", "Setup"]

TEXT = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."


@dataclass(frozen=True)
class Model:
    """A plugin, and how it is measured.

    Attributes:
        checkpoint: Whose random weights are written; empty: the plugin's usual one.
        rate: Tokens for each character, so that random weights, which never end, say as much as trained ones.
        profile_rate: The same for a profile, whose trace must stay small.
        options: Of every request.
    """

    checkpoint: str
    rate: float
    profile_rate: float
    options: tuple[tuple[str, Any], ...] = ()


MODELS = {
    "qwen3": Model("0.6b-custom-voice", 0.85, 0.3),
    # The watermark's network runs on the CPU, and is not what is measured.
    "chatterbox": Model("english", 1.7, 0.4, (("watermark", False),)),
    "f5": Model("f5-v1-base", 6.25, 6.25),
    "vieneu": Model("", 3.4, 0.8),
}


@dataclass(frozen=True)
class Setup:
    """A campaign.

    Attributes:
        out: Folder of the findings.
        checkpoints: Folder of the random weights.
        repository: Root of the sources.
        dry: On the CPU with tiny weights, so that the campaign itself is tried.
    """

    out: Path
    checkpoints: Path
    repository: Path
    dry: bool = False

    @property
    def findings(self) -> Findings:
        """Where results go."""
        return Findings(self.out)

    @property
    def device(self) -> str:
        """Where tensors lie."""
        return "cpu" if self.dry else "cuda:0"

    @property
    def kind(self) -> str:
        """The device as a setting has it."""
        return self.device.partition(":")[0]

    @property
    def size(self) -> str:
        """Of the random weights."""
        return "tiny" if self.dry else "full"

    @property
    def text(self) -> str:
        """What is spoken."""
        return TEXT[:24] if self.dry else TEXT

    @property
    def common(self) -> dict[str, Any]:
        """Settings of every provider."""
        common = {"device": self.kind, "voice_cache_disk_mb": 0, "data_dir": str(self.checkpoints / "data")}
        return {**common, "threads": 1} if self.dry else common

    def wait(self) -> None:
        """Wait for the device."""
        if not self.dry:
            import torch

            torch.cuda.synchronize()

    def timed(self, run: Callable[[], object], *, repeats: int = 20) -> float:
        """Return the median microseconds of a call, after two that do not count."""
        for _ in range(2):
            run()
        self.wait()
        times = []
        for _ in range(3 if self.dry else repeats):
            began = time.perf_counter()
            run()
            self.wait()
            times.append((time.perf_counter() - began) * 1e6)
        return sorted(times)[len(times) // 2]

    def graphed(self, work: Callable[[], object], times: int = 1) -> tuple[Callable[[], object], float]:
        """Return some work, so many times, as a CUDA graph, and the milliseconds of its first run.

        Libraries build their plans in the first run. Without a GPU the work itself is returned, once.
        """
        import torch

        began = time.perf_counter()
        work()
        self.wait()
        first = (time.perf_counter() - began) * 1e3
        if self.dry:
            return work, first
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(times):
                work()
        return graph.replay, first

    def per_call(self, work: Callable[[], object], times: int) -> dict[str, float]:
        """Return the microseconds of some work inside a graph that holds it so many times, and of its first run."""
        replay, first = self.graphed(work, times)
        return {"us": self.timed(replay) / (1 if self.dry else times), "first_ms": first}

    def memory(self) -> dict[str, int]:
        """Return bytes: allocated and reserved by torch, and used on the whole device."""
        if self.dry:
            return {}
        import torch

        free, total = torch.cuda.mem_get_info()
        return {
            "allocated": torch.cuda.memory_allocated(),
            "reserved": torch.cuda.memory_reserved(),
            "used": total - free,
        }

    def release(self) -> None:
        """Give back what nobody holds any more."""
        gc.collect()
        if not self.dry:
            import torch

            torch.cuda.empty_cache()

    def spec(self, name: str) -> ProviderSpec:
        """Return a plugin's spec.

        Raises:
            ImportError: It is not there.
        """
        spec: ProviderSpec = importlib.import_module(f"realtts_{name}").spec
        return spec

    def checkpoint(self, name: str, size: str | None = None) -> Path:
        """Return the folder of a model's random weights, which the first to ask writes.

        At full size that takes a minute or two; another process that asks meanwhile waits.
        """
        folder = self.checkpoints / f"{name}-{size or self.size}"
        done, lock = folder / ".done", folder.with_suffix(".lock")
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        while not done.exists():
            try:
                lock.touch(exist_ok=False)
            except FileExistsError:
                _wait_for(done, lock)
                continue
            with contextlib.ExitStack() as stack:
                stack.callback(lock.unlink)
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                chosen = {"model": MODELS[name].checkpoint} if MODELS[name].checkpoint else {}
                testing = importlib.import_module(f"realtts_{name}.testing")
                testing.write_random_checkpoint(folder, size or self.size, **chosen)
                done.touch()
        return folder


def _wait_for(done: Path, lock: Path) -> None:
    """Wait for another process that writes; one that was killed leaves a lock that is old."""
    patience_s = float(os.environ.get("CAMPAIGN_PATIENCE_S", "240"))
    while lock.exists() and not done.exists():
        if time.time() - lock.stat().st_mtime > patience_s:
            lock.unlink(missing_ok=True)
            return
        time.sleep(0.2)
