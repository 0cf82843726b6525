"""How the record of a load is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.bench_tables import machine_line, seconds_text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["show_load"]

_SHARES = ("p50", "p95", "p99")


def show_load(record: Mapping[str, Any]) -> None:
    """Print the figures of a load, both contenders side by side."""
    results, ratios = record["variants"], record["ratios"]
    console.heading(f"{record['provider']} ({record['label']})" if record["label"] else record["provider"])
    console.entry("load", _load(record))
    console.entry("machine", machine_line(record["machine"]))
    console.out()
    rows = [
        _row("requests", results, lambda result: str(result["requests"])),
        _row("audio, s/s", results, lambda result: _number(result["audio_s_per_s"]), ratios.get("audio_s_per_s")),
        _row("requests/s", results, lambda result: _number(result["requests_per_s"]), ratios.get("requests_per_s")),
    ]
    for label, name in (("first audio", "first_audio_s"), ("wait in the queue", "queue_s"), ("whole", "total_s")):
        rows += [
            _row(f"{label}, {share}", results, _percentile(name, share, seconds_text), ratios.get(f"{name}_{share}"))
            for share in _SHARES
        ]
    rows += [
        *(_row(f"RTF, {share}", results, _percentile("rtf", share, _number), ratios.get(f"rtf_{share}")) for share in
          _SHARES),
        _row("underruns", results, lambda result: f"{100 * result['underruns']['share']:.0f} %"),
        _row("tokens/s", results, lambda result: _number(result["tokens_per_s"])),
        _row("tokens per step", results, lambda result: _number(result["tokens_per_step"])),
        _row("rows per step", results, lambda result: _number(result["rows_per_step"])),
        _row("memory", results, _memory),
    ]  # fmt: skip
    shown = [row for row in rows if any(cell not in {"-", ""} for cell in row[1:])]
    console.table(["figure", *results, "ratio"], shown)


def _load(record: Mapping[str, Any]) -> str:
    load, work = record["load"], record["workload"]
    how = f"{load['rate']:g} requests a second" if load["rate"] is not None else f"{load['concurrency']} callers"
    voices = len(work["voices"])
    return f"{how}, {load['duration_s']:g} s each, {work['texts']} texts ({work['text_set']}), {voices} voices"


def _row(label: str, results: Mapping[str, Any], shown: Any, ratio: float | None = None) -> list[str]:
    return [label, *(shown(result) for result in results.values()), f"{ratio:.2f}x" if ratio else ""]


def _memory(result: Mapping[str, Any]) -> str:
    peak = result["memory"]["rss_peak"]
    return "-" if peak is None else console.size(peak)


def _percentile(name: str, share: str, shown: Any) -> Any:
    return lambda result: shown(result[name][share]) if result[name] else "-"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
