"""The repository's own tests for a GPU."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from gpu.setup import MODELS

if TYPE_CHECKING:
    from gpu.setup import Setup

__all__ = ["FOLDERS", "run_tests"]

FOLDERS = ("tests/accel", *(f"tests/plugins/{name}" for name in MODELS))
"""Each has a pytest of its own: the tests of a plugin whose packages are missing cannot even be collected."""

_LIMIT_S = 215.0
_PROCESSES = 3
"""Of each pytest; all of them work at the same time."""

_TAIL = 3000


def run_tests(setup: Setup) -> None:
    """Run ``pytest -m gpu`` of every folder; in a dry run it only collects them, one after the other."""
    end = time.monotonic() + _LIMIT_S
    if setup.dry:
        for folder in FOLDERS:
            _finish(setup, folder, _start(setup, folder), end)
        return
    started = {folder: _start(setup, folder) for folder in FOLDERS}
    for folder, process in started.items():
        _finish(setup, folder, process, end)


def _start(setup: Setup, folder: str) -> subprocess.Popen[bytes]:
    # Warnings of other versions are no errors here.
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-ra", "-o", "filterwarnings=default"]
    command += ["-p", "no:cacheprovider"]
    if setup.dry:
        command += ["--collect-only"]
    elif importlib.util.find_spec("xdist"):
        command += ["-n", str(_PROCESSES), "--dist=loadfile"]
    name = folder.rpartition("/")[2]
    command += [f"--junitxml={setup.out / f'gpu-tests-{name}.xml'}", folder]
    with (setup.out / f"gpu-tests-{name}.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - this interpreter
            command, cwd=setup.repository, stdout=log, stderr=subprocess.STDOUT
        )


def _finish(setup: Setup, folder: str, process: subprocess.Popen[bytes], end: float) -> None:
    """Wait for a pytest, and write down how it ended; 5 means that there was no test."""
    with setup.findings.measuring("tests", folder) as result:
        try:
            result["code"] = process.wait(max(0.1, end - time.monotonic()))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            log = setup.out / f"gpu-tests-{folder.rpartition('/')[2]}.log"
            result["tail"] = log.read_text(encoding="utf-8", errors="replace")[-_TAIL:]
