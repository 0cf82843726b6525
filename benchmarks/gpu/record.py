"""Findings of one or more folders as a record: what was measured on which card, and what could not be."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from gpu.findings import read_findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["KIND", "make_record", "medians"]

KIND = "realtts.gpu"
_PARTS = ("micro", "attention", "glue", "faults")
_LIFE = ("begins", "ended", "skipped", "died")
_MEASURED = ("total_s", "rtf", "first_audio_s")


def make_record(folders: Sequence[Path], *, label: str = "", commit: str = "") -> dict[str, Any]:
    """Return the record of a campaign; JSON-able. Of what was measured twice, the last counts.

    Args:
        folders: Where its commands have put their findings.
        label: For people.
        commit: Of the sources.

    Raises:
        OSError: A folder has no findings.
    """
    findings = sorted((each for folder in folders for each in read_findings(folder)), key=lambda each: each["at"])
    machine = {each["name"]: _content(each) for each in findings if each["stage"] == "env"}
    card = str(machine.get("device", {}).get("device") or "an unknown card")
    return {
        "kind": KIND,
        "schema": 1,
        "label": label,
        "commit": commit,
        "card": card,
        "began": min((each["at"] for each in findings), default=None),
        "machine": {name: content for name, content in machine.items() if not name.startswith("import ")},
        "speed": _speed(findings),
        "rival": _last(findings, "rival"),
        "parity": _parity(findings),
        "parts": {f"{each['stage']} | {each['name']}": _content(each)
                  for each in findings if each["stage"] in _PARTS and each["name"] not in _LIFE},
        "profiles": {each["name"]: _content(each) for each in findings if each["stage"] == "profile"},
        "tests": {each["name"]: _content(each) for each in findings
                  if each["stage"] == "tests" and each["name"] not in _LIFE},
        "stages": _stages(findings),
        "errors": [{"stage": each["stage"], "name": each["name"], "error": each["error"]}
                   for each in _newest(findings) if each.get("error")],
    }  # fmt: skip


def medians(runs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return median and spread of what runs took."""
    runs = list(runs)
    result: dict[str, Any] = {"runs": len(runs)}
    for name in _MEASURED:
        values = [run[name] for run in runs if run.get(name) is not None]
        if values:
            result[name] = statistics.median(values)
            result[f"{name}_range"] = [min(values), max(values)]
    return result


def _content(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in finding.items() if name not in {"at", "stage", "name", "trace"}}


def _newest(findings: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the last finding of each name."""
    newest = {(each["stage"], each["name"]): each for each in findings}
    return list(newest.values())


def _last(findings: Iterable[Mapping[str, Any]], stage: str) -> dict[str, Any] | None:
    found = [each for each in findings if each["stage"] == stage and each["name"] not in _LIFE]
    return {**_content(found[-1]), **_warm(found[-1])} if found else None


def _warm(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {"warm": medians(finding["warm"])} if isinstance(finding.get("warm"), list) else {}


def _speed(findings: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return model -> form -> load, memory and runs."""
    models: dict[str, dict[str, Any]] = {}
    for each in findings:
        parts = str(each["name"]).split(" | ")
        if each["stage"] != "speed" or len(parts) != 3:
            continue
        model, form, label = parts
        entry = models.setdefault(model, {}).setdefault(form, {"runs": {}, "memory": {}})
        if label == "load":
            entry["load"] = _content(each)
            entry["memory"].update(before=each.get("memory_before"), loaded=each.get("memory"))
        elif label == "after unload":
            entry["memory"]["unloaded"] = each.get("memory")
        elif label == "status":
            entry["attempts"] = each.get("attempts")
        else:
            entry["runs"][label] = {**_content(each), **_warm(each)}
    return models


def _parity(findings: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return model -> what was compared -> the result."""
    models: dict[str, dict[str, Any]] = {}
    for each in findings:
        model, bar, name = str(each["name"]).partition(" | ")
        if each["stage"] == "parity" and bar:
            models.setdefault(model, {})[name] = _content(each)
    return models


def _stages(findings: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return how each stage ended."""
    stages: dict[str, dict[str, Any]] = {}
    for each in findings:
        if each["name"] in _LIFE:
            stages[each["stage"]] = {"state": each["name"], **_content(each)}
    return stages
