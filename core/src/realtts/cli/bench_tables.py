"""How benchmark records and their comparisons are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.cli import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["machine_line", "seconds_text", "show_comparison", "show_record"]

_BYTES = ("rss_growth", "device_peak")
_SECONDS = ("total_s", "first_audio_s", "cold_total_s")


def show_record(record: Mapping[str, Any]) -> None:
    """Print the figures of a record, variants side by side."""
    variants, work = record["variants"], record["workload"]
    name = f"{record['provider']} ({record['label']})" if record["label"] else record["provider"]
    console.heading(name)
    console.entry("texts", _texts(work))
    console.entry("machine", machine_line(record["machine"]))
    for variant, result in variants.items():
        console.entry(variant, _path(result))
    console.out()
    _figures(variants, record["ratios"])
    _stages(variants, record["floor"])


def show_comparison(comparison: Mapping[str, Any], names: Sequence[str]) -> None:
    """Print the figures of two records and their ratios."""
    rows = [
        [variant, figure, _shown(figure, a), _shown(figure, b), f"{ratio:.3g}" if ratio is not None else "-"]
        for variant, figure, a, b, ratio in comparison["rows"]
    ]
    if rows:
        console.table(["variant", "figure", *names, "ratio"], rows)


def _texts(work: Mapping[str, Any]) -> str:
    parts = [f"{work['text_set']}: {work['texts']} with {work['chars']} characters", f"{work['repeats']} repeats"]
    if work["tokens"]:
        parts.append(f"{work['tokens_per_char']:.3g} tokens forced per character")
    if work["random_weights"]:
        parts.append(f"random weights ({work['random_weights']})")
    if work["stream"]:
        parts.append("streamed")
    if work["batch"] > 1:
        parts.append(f"batches of {work['batch']}")
    return ", ".join(parts)


def machine_line(machine: Mapping[str, Any]) -> str:
    """Return the machine of a record in one line."""
    gpus = [f"{gpu['name']} (driver {gpu['driver']})" for gpu in machine["gpus"]]
    cpu = f"{machine['cpu']}, {machine['threads']} threads, {console.size(machine['memory_bytes'])}"
    return ", ".join([cpu, *gpus])


def _path(result: Mapping[str, Any]) -> str:
    details = result["details"]
    fell = "" if result["variant"] == result["asked"] else f"FELL BACK to {result['variant']}: "
    quantized = f", {details['quantization']}" if details["quantization"] not in {None, "none", "auto"} else ""
    return f"{fell}rung {result['rung']}, {details['device']}, {details['dtype']}{quantized}"


def _figures(variants: Mapping[str, Any], ratios: Mapping[str, float | None]) -> None:
    """Return one row per figure: medians with half the distance of their quartiles, and plain over optimized."""
    rows = []
    for label, figure, key in (
        ("cold, first audio", _cold("first_audio_s"), "cold_first_audio_s"),
        ("cold, whole", _cold("total_s"), "cold_total_s"),
        ("warm, all texts", _spread("total_s"), "total_s"),
        ("first audio", _spread("first_audio_s"), "first_audio_s"),
        ("RTF", _spread("rtf"), "rtf"),
        ("tokens/s", _spread("tokens_per_s"), "tokens_per_s"),
        ("characters/s", _spread("chars_per_s"), ""),
        ("words/s", _spread("words_per_s"), ""),
        ("memory growth", _memory("rss_growth"), "rss_growth"),
        ("device memory", _memory("device_peak"), "device_peak"),
    ):
        shown = [figure(result) for result in variants.values()]
        if any(shown):
            ratio = ratios.get(key)
            rows.append([label, *(text or "-" for text in shown), f"{ratio:.2f}x" if ratio else ""])
    rows += _quality(variants)
    console.table(["figure", *variants, "ratio" if ratios else ""], rows)


def _quality(variants: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of what was heard, where anybody has listened."""
    heard = [result.get("quality") for result in variants.values()]
    if not all(heard):
        return []
    rows = [
        ["word error rate", *(f"{100 * each['wer']:.1f} %" for each in heard), ""],
        ["missing words", *(str(each["missing"]) for each in heard), ""],
    ]
    for name in dict.fromkeys(name for each in heard for name in each["ratings"]):
        means = [each["ratings"].get(name, {}).get("mean") for each in heard]
        if any(mean is not None for mean in means):
            rows.append([name, *("-" if mean is None else f"{mean:.2f}" for mean in means), ""])
    return rows


def _stages(variants: Mapping[str, Any], floor: Mapping[str, Any]) -> None:
    """Return where the time goes, and how far each stage is from what the machine can do."""
    rows = [
        [
            name,
            variant,
            seconds_text(stage["seconds"]),
            f"{100 * stage['share']:.0f} %",
            str(stage.get("steps") or ""),
            seconds_text(stage.get("seconds_per_step")),
            seconds_text(stage.get("floor_s")),
            f"{stage['distance']:.2f}x" if stage.get("distance") else "",
        ]
        for variant, result in variants.items()
        for name, stage in result["stages"].items()
    ]
    if rows:
        console.out()
        console.table(["stage", "variant", "seconds", "share", "steps", "a step", "floor", "distance"], rows)
    rates = ", ".join(f"{dtype} {rate / 1e9:.0f} GFLOP/s" for dtype, rate in floor["flops_per_s"].items())
    console.out()
    console.entry("floor", f"reads {floor['bytes_per_s'] / 1e9:.1f} GB/s, {rates} ({floor['device']})")


def _cold(key: str) -> Any:
    return lambda result: seconds_text(result["cold"].get(key))


def _memory(key: str) -> Any:
    return lambda result: console.size(result["memory"][key]) if result["memory"][key] is not None else ""


def _spread(key: str) -> Any:
    def shown(result: Mapping[str, Any]) -> str:
        values = result["warm"][key]
        if values is None:
            return ""
        median, low, high = values["median"], values["q1"], values["q3"]
        # In percent, whatever the magnitude: two columns of three figures each do not fit a terminal.
        around = f" +-{50 * (high - low) / median:.0f} %" if high > low and median else ""
        return f"{_shown(key, median)}{around}"

    return shown


def _shown(figure: str, value: float) -> str:
    if figure in _BYTES:
        return console.size(int(value))
    if figure in _SECONDS or figure.startswith("stage "):
        return seconds_text(value)
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def seconds_text(value: float | None) -> str:
    """Return a time in the unit in which it reads best; empty for None."""
    if value is None:
        return ""
    if value >= 3600:
        return console.clock(value)
    factor, unit = _unit(value)
    return f"{value * factor:.3g} {unit}"


def _unit(seconds: float) -> tuple[float, str]:
    """Return the factor and the unit in which a time reads best."""
    if seconds >= 1:
        return 1.0, "s"
    return (1e3, "ms") if seconds >= 1e-3 else (1e6, "us")
