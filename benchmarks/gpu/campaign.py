"""Stages one after the other, each in a process of its own, so that a crash or a hang costs that one alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gpu.stages import limit_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpu.setup import Setup

__all__ = ["PATH_VARIABLE", "run_campaign"]

PATH_VARIABLE = "CAMPAIGN_PATH_"
"""Variables of this beginning and a stage's name put folders before PYTHONPATH: upstream of one model wants others."""

_LEAST_S = 20.0
_DRY = 4
"""How much longer a dry run may take: a busy CPU is no measure."""

_HERE = str(Path(__file__).resolve().parents[1])


def run_campaign(setup: Setup, stages: Sequence[str], *, budget_s: float, write: Sequence[str] = ()) -> None:
    """Run stages within a budget; what there is no time for is a finding.

    Args:
        setup: The campaign.
        stages: Their names, in order.
        budget_s: Seconds for all.
        write: Models whose weights are written meanwhile, by processes of their own.
    """
    end = time.monotonic() + budget_s
    least = 0.0 if setup.dry else _LEAST_S
    writers = [_start(setup, f"write:{name}") for name in write]
    try:
        for stage in stages:
            left = end - time.monotonic()
            if left <= least:
                setup.findings.add(stage, "skipped", why="no time is left")
                continue
            _run(setup, stage, min(left, limit_s(stage) * (_DRY if setup.dry else 1)))
        for writer in writers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                writer.wait(max(0.0, end - time.monotonic()))
    finally:
        for writer in writers:
            if writer.poll() is None:
                writer.kill()
                writer.wait()


def _run(setup: Setup, stage: str, limit: float) -> None:
    setup.findings.add(stage, "begins", limit_s=round(limit))
    began = time.perf_counter()
    process = _start(setup, stage)
    killed = False
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        killed = True
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    seconds = round(time.perf_counter() - began, 1)
    setup.findings.add(stage, "ended", code=process.returncode, killed=killed, seconds=seconds)


def _start(setup: Setup, stage: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gpu", "stage", stage, "--out", str(setup.out)]
    command += ["--checkpoints", str(setup.checkpoints), "--repository", str(setup.repository)]
    more = os.environ.get(PATH_VARIABLE + stage.replace(":", "_"), "")
    path = os.pathsep.join(filter(None, [more, _HERE, os.environ.get("PYTHONPATH", "")]))
    threads = {"OMP_NUM_THREADS": "2"} if stage.startswith("write:") else {}
    return subprocess.Popen(  # noqa: S603 - this interpreter
        [*command, *(["--dry"] if setup.dry else [])], env={**os.environ, **threads, "PYTHONPATH": path}
    )
