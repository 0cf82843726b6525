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

__all__ = ["run_tests"]

_LIMIT_S = 220
_PROCESSES = 6
_TAIL = 4000


def run_tests(setup: Setup) -> None:
    """Run ``pytest -m gpu``; in a dry run it only collects them."""
    paths = ["tests/accel", *(f"tests/plugins/{name}" for name in MODELS)]
    # Warnings of other versions are no errors here.
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "gpu",
        "-o",
        "filterwarnings=default",
        "-p",
        "no:cacheprovider",
    ]
    if setup.dry:
        command += ["--collect-only"]
    elif importlib.util.find_spec("xdist"):
        command += ["-n", str(_PROCESSES), "--dist=loadfile"]
    command += [f"--junitxml={setup.out.absolute() / 'gpu-tests.xml'}", "-ra", *paths]
    began = time.perf_counter()
    log_path = setup.out / "gpu-tests.log"
    with setup.findings.measuring("tests", "pytest -m gpu") as result, log_path.open("w", encoding="utf-8") as log:
        try:
            done = subprocess.run(  # noqa: S603 - this interpreter
                command, cwd=setup.repository, stdout=log, stderr=subprocess.STDOUT, check=False, timeout=_LIMIT_S
            )
            result["code"] = done.returncode
        finally:
            result["took_s"] = round(time.perf_counter() - began, 1)
            result["tail"] = log_path.read_text(encoding="utf-8", errors="replace")[-_TAIL:]
