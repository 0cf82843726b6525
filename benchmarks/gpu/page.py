"""A record as a page of docs/benchmarks."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

from gpu.parity import PRECISIONS
from gpu.stages import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["page_of"]

_RUNS = ("whole", "stream", "another length", "batch of 8")
_NOTHING = "–"


def page_of(record: Mapping[str, Any]) -> str:
    """Return the page, with the record in one line of JSON at its end."""
    date = datetime.datetime.fromtimestamp(record["began"] or 0, datetime.timezone.utc).date()
    parts = [
        f"# {date}: {record['card']}",
        f"**Question**: what do the models cost on {record['card']}, and how far are they from their plain variants?",
        _machine(record),
        "**Command**: from the root of the sources, one after the other:",
        "```sh\n" + "\n".join(" ".join(command.words("out")) for command in COMMANDS) + "\n```",
        "Random weights of upstream's sizes. RTF: seconds of work over seconds of audio, the median of the warm runs.",
    ]
    for name, forms in record["speed"].items():
        parts += [f"## {name}", _speed_table(forms), _memory_table(forms)]
        if name == "qwen3" and record["rival"]:
            parts.append(_rival(record["rival"]))
    if record["parity"]:
        parts += ["## Parity", _parity_table(record["parity"])]
    if record["parts"]:
        parts += ["## Parts", _parts_table(record["parts"])]
    if record["tests"]:
        rows = [[f"`{folder}`", _summary(result)] for folder, result in record["tests"].items()]
        parts += ["## Tests", _table(["`pytest -m gpu`", "its last line"], rows)]
    parts += ["## What could not be measured", _errors(record)]
    brief = {key: value for key, value in record.items() if key not in {"parts", "profiles", "tests"}}
    parts.append("```json\n" + json.dumps(brief, sort_keys=True) + "\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(record: Mapping[str, Any]) -> str:
    machine = record["machine"]
    device, versions = machine.get("device", {}), machine.get("versions", {})
    listed = ", ".join(f"{name} {value}" for name, value in versions.items() if name not in {"seconds", "python"})
    python = str(versions.get("python", "")).split(" ")[0]
    return (
        f"**Machine**: {record['card']} ({device.get('smi', 'no driver')}), {device.get('cores', '?')} cores. "
        f"Python {python}, {listed}. Commit {record['commit'] or 'unknown'}."
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _speed_table(forms: Mapping[str, Any]) -> str:
    rows = []
    for form, entry in forms.items():
        load = entry.get("load", {})
        if load.get("error"):
            rows.append([form, load["error"][:80], *[_NOTHING] * (len(_RUNS) + 1)])
            continue
        cells = [_number(entry["runs"].get(label, {}).get("warm", {}).get("rtf")) for label in _RUNS]
        first = entry["runs"].get("stream", {}).get("warm", {}).get("first_audio_s")
        rows.append([form, f"`{load.get('rung')}`", *cells, _milliseconds(first)])
    return _table(["form", "rung", *(f"RTF, {label}" for label in _RUNS), "first audio, ms"], rows)


def _memory_table(forms: Mapping[str, Any]) -> str:
    rows = []
    for form, entry in forms.items():
        used = [(entry["memory"].get(when) or {}).get("used") for when in ("before", "loaded", "unloaded")]
        if any(value is not None for value in used):
            rows.append([form, *(_NOTHING if value is None else f"{value / 2**20:,.0f}" for value in used)])
    head = ["form", "MiB used before the load", "after it", "after the unload"]
    return _table(head, rows) if rows else ""


def _rival(rival: Mapping[str, Any]) -> str:
    if rival.get("error"):
        return f"faster-qwen3-tts in the same run: {rival['error'][:200]}"
    firsts = rival.get("first_audio_s") or [None]
    return (
        f"faster-qwen3-tts in the same run, on the same weights: RTF {_number(rival['warm'].get('rtf'))}, "
        f"first audio {_milliseconds(firsts[-1])} ms."
    )


def _parity_table(parity: Mapping[str, Any]) -> str:
    rows = []
    for model, compared in parity.items():
        verify = compared.get("verify", {})
        failed = [check["name"] for check in verify.get("checks", ()) if check["ok"] is False]
        state = verify.get("error", "")[:80] or ("kept" if not failed else f"not kept: {', '.join(failed)}")
        rows.append([model, *(_error_cell(compared.get(name, {})) for name in PRECISIONS), state])
    note = "Relative error of logits or mel with the plain variant's tokens as the past, in float32.\n\n"
    return note + _table(["model", *PRECISIONS, "`realtts verify`"], rows)


def _error_cell(result: Mapping[str, Any]) -> str:
    if "relative_error" not in result:
        return "not offered" if result.get("error") else _NOTHING
    error = f"{result['relative_error']:.1e}"
    return error if result.get("as_asked") else f"{error} (ran as {result.get('dtype')}, {result.get('quantization')})"


def _parts_table(parts: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, content in parts.items():
        shown = ", ".join(f"{key} {_number(value)}" for key, value in content.items()
                          if isinstance(value, (int, float)) and key != "seconds")  # fmt: skip
        rows.append([name.replace("|", "·"), shown or str(content.get("error", ""))[:80]])
    return _table(["part", "figures"], rows)


def _summary(result: Mapping[str, Any]) -> str:
    lines = str(result.get("tail", "")).strip().splitlines()
    return (lines[-1] if lines else str(result.get("error", _NOTHING)))[:120].replace("|", "·")


def _errors(record: Mapping[str, Any]) -> str:
    lines = [f"- {each['stage']}, {each['name']}: {each['error'][:200]}" for each in record["errors"]]
    for stage, end in record["stages"].items():
        if end["state"] == "skipped" or end.get("killed") or end.get("code"):
            why = end.get("why") or ("it took too long" if end.get("killed") else f"it ended with {end.get('code')}")
            lines.append(f"- {stage}: {why}")
    return "\n".join(lines) or "Nothing."


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else _NOTHING


def _milliseconds(value: Any) -> str:
    return f"{value * 1e3:.1f}" if isinstance(value, (int, float)) else _NOTHING
