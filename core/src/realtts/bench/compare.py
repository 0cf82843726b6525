"""Two records side by side: ratios of their figures, and what makes them incomparable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.bench.results import LOAD_KIND, SCHEMA
from realtts.documents import MALFORMED, DocumentError, read_json, reason_of
from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Comparison", "compare_records", "load_record"]

_FIGURES = (
    ("rtf", ("warm", "rtf", "median")),
    ("total_s", ("warm", "total_s", "median")),
    ("first_audio_s", ("warm", "first_audio_s", "median")),
    ("tokens_per_s", ("warm", "tokens_per_s", "median")),
    ("chars_per_s", ("warm", "chars_per_s", "median")),
    ("words_per_s", ("warm", "words_per_s", "median")),
    ("cold_total_s", ("cold", "total_s")),
    ("rss_growth", ("memory", "rss_growth")),
    ("device_peak", ("memory", "device_peak")),
)
_LOAD_FIGURES = (
    *((name, (name,)) for name in ("audio_s_per_s", "requests_per_s")),
    *((f"{name}_{share}", (name, share)) for name in ("first_audio_s", "total_s", "queue_s", "rtf")
      for share in ("p50", "p95", "p99")),
    ("underruns", ("underruns", "share")),
    ("tokens_per_s", ("tokens_per_s",)),
    ("tokens_per_step", ("tokens_per_step",)),
    ("rows_per_step", ("rows_per_step",)),
    ("rss_peak", ("memory", "rss_peak")),
    ("device_peak", ("memory", "device_peak")),
)  # fmt: skip
_LOAD = ("rate", "concurrency", "duration_s", "rounds", "seed")
_MACHINE = ("cpu", "physical_cores", "memory_bytes", "gpus", "threads", "system")
_WORKLOAD = (
    "text_set", "text", "texts", "languages", "chars", "batch", "stream", "tokens", "random_weights", "voice",
    "options", "voices",
)  # fmt: skip
_VARIANT = ("variant", "rung", "checkpoint")

Comparison = dict[str, Any]
"""``rows`` (variant, figure, a, b, ratio) and ``warnings``."""


def load_record(path: Path) -> dict[str, Any]:
    """Read a record of `realtts bench --json`.

    Raises:
        InvalidOption: The file cannot be read, holds no record, or one of another schema.
    """
    fix = "give a file that 'realtts bench NAME --json FILE' wrote"
    try:
        record = read_json(path)
    except DocumentError as error:
        raise InvalidOption(f"it cannot be read: {error}", who=str(path), fix=fix) from None
    if not isinstance(record, dict) or record.get("kind") not in {"realtts.bench", LOAD_KIND}:
        raise InvalidOption("it holds no benchmark record", who=str(path), fix=fix)
    if record.get("schema") != SCHEMA:
        what = f"its schema is {record.get('schema')!r}, this version reads {SCHEMA}"
        raise InvalidOption(what, who=str(path), fix="compare it with the version of realtts that wrote it")
    return record


def compare_records(first: Mapping[str, Any], second: Mapping[str, Any]) -> Comparison:
    """Return the figures of two records, and the ratios of the first to the second.

    Returns:
        ``rows``: variant, figure, both values and their ratio; ``warnings``: every difference that makes the ratios
        mean something else than they seem to.

    Raises:
        InvalidOption: A record lacks something, or holds something else; one is of a load and the other is not.
    """
    if first.get("kind") != second.get("kind"):
        raise InvalidOption(
            "one record is of a load, the other is not", who="bench --compare", fix="compare two of the same kind"
        )
    try:
        return _comparison(first, second)
    except MALFORMED as error:
        raise InvalidOption(
            f"a record is not complete: {reason_of(error)}", who="bench --compare",
            fix="give files that 'realtts bench NAME --json FILE' wrote",
        ) from error  # fmt: skip


def _comparison(first: Mapping[str, Any], second: Mapping[str, Any]) -> Comparison:
    rows = []
    for variant in first["variants"]:
        if variant in second["variants"]:
            rows += _rows(variant, first["variants"][variant], second["variants"][variant])
    warnings = [*_differences(first, second)]
    if not rows:
        warnings.append("the records have no variant in common")
    for name, record in (("the first", first), ("the second", second)):
        warnings += [f"{name}: {warning}" for warning in record["warnings"]]
    return {"rows": rows, "warnings": warnings}


def _rows(variant: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> list[list[Any]]:
    rows = []
    for name, keys in _FIGURES if "warm" in first else _LOAD_FIGURES:
        a, b = _at(first, keys), _at(second, keys)
        if a is not None and b is not None:
            rows.append([variant, name, a, b, a / b if b else None])
    for stage in first["stages"].keys() & second["stages"].keys() if "warm" in first else ():
        a, b = (record["stages"][stage]["seconds"] for record in (first, second))
        rows.append([variant, f"stage {stage}", a, b, a / b if b else None])
    return rows


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    differences = [] if first["provider"] == second["provider"] else [_unlike("provider", first, second)]
    differences += [
        f"the machines differ: {_unlike(key, first['machine'], second['machine'])}"
        for key in _MACHINE
        if first["machine"].get(key) != second["machine"].get(key)
    ]
    differences += [
        f"the workloads differ: {_unlike(key, first['workload'], second['workload'])}"
        for key in _WORKLOAD
        if first["workload"].get(key) != second["workload"].get(key)
    ]
    loads = [record.get("load", {}) for record in (first, second)]
    differences += [
        f"the loads differ: {_unlike(key, *loads)}" for key in _LOAD if loads[0].get(key) != loads[1].get(key)
    ]
    versions = [record["machine"]["versions"] for record in (first, second)]
    differences += [
        f"the versions differ: {_unlike(key, *versions)}"
        for key in sorted(versions[0].keys() | versions[1].keys())
        if versions[0].get(key) != versions[1].get(key)
    ]
    for variant in first["variants"].keys() & second["variants"].keys():
        a, b = first["variants"][variant], second["variants"][variant]
        differences += [f"{variant} ran differently: {_unlike(key, a, b)}" for key in _VARIANT if a[key] != b[key]]
        if a["details"] != b["details"]:
            names = sorted(key for key in a["details"] | b["details"] if a["details"].get(key) != b["details"].get(key))
            differences += [f"{variant} ran differently: {_unlike(key, a['details'], b['details'])}" for key in names]
    return differences


def _unlike(key: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    return f"{key} is {first.get(key)!r} and {second.get(key)!r}"


def _at(value: Any, keys: tuple[str, ...]) -> float | None:
    for key in keys:
        value = None if value is None else value.get(key)
    return value  # type: ignore[no-any-return]
