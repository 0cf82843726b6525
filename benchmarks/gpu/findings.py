"""Findings: lines of JSON that are on disk before anything else happens."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["FILE", "Findings", "read_findings"]

FILE = "findings.jsonl"
_MOST_SHOWN = 400
_MOST_OF_MESSAGE, _MOST_OF_TRACE = 800, 2000


class Findings:
    """The findings of one folder; several processes may add to it.

    Args:
        folder: Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / FILE

    def add(self, stage: str, name: str, **data: Any) -> None:
        """Write one down."""
        line = json.dumps({"at": round(time.time(), 2), "stage": stage, "name": name, **data}, default=str)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        sys.stdout.write(line[:_MOST_SHOWN] + "\n")
        sys.stdout.flush()

    def measuring(self, stage: str, name: str) -> _Measurement:
        """Return a block that writes down what is put into its dictionary, or the error of it, which ends there."""
        return _Measurement(self, stage, name)


class _Measurement:
    """A finding on its way.

    Args:
        findings: Where it goes.
        stage: Of it.
        name: Of it.
    """

    def __init__(self, findings: Findings, stage: str, name: str) -> None:
        self._findings, self._stage, self._name = findings, stage, name
        self._result: dict[str, Any] = {}

    def __enter__(self) -> dict[str, Any]:
        self._began = time.perf_counter()
        return self._result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None and not isinstance(error, Exception):
            return False  # an interrupt
        if error is not None:
            self._result.update(describe(error))
        seconds = round(time.perf_counter() - self._began, 3)
        self._findings.add(self._stage, self._name, seconds=seconds, **self._result)
        return True


def describe(error: BaseException) -> dict[str, str]:
    """Return an error as entries of a finding."""
    trace = "".join(traceback.format_exception(error))
    return {"error": f"{type(error).__name__}: {error}"[:_MOST_OF_MESSAGE], "trace": trace[-_MOST_OF_TRACE:]}


def read_findings(folder: Path) -> list[dict[str, Any]]:
    """Return the findings of a folder, oldest first; a line that was cut by a crash is left out."""
    findings = []
    for line in (folder / FILE).read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and {"stage", "name"} <= entry.keys():
                findings.append(entry)
    return findings
