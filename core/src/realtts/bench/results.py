"""From what was timed to the record's figures: spreads, rates, stages against their floor, ratios, warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.bench.floor import floor_of
from realtts.bench.measure import spread
from realtts.contract.stages import StageWork

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from realtts.bench.contender import Contender
    from realtts.bench.measure import Sample
    from realtts.bench.workload import Workload

__all__ = ["LOAD_KIND", "SCHEMA", "ratios", "rounded", "summary", "warnings_of"]

SCHEMA = 1
"""Version of the record's keys; raised when one of them changes its meaning or goes away."""

LOAD_KIND = "realtts.bench.load"
"""What ``kind`` is in the record of a load."""

_INNER = "generate."


def summary(contender: Contender, rates: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one variant did.

    Args:
        contender: The variant, timed.
        rates: The machine's, of `measure_floor`.
    """
    status, rounds = contender.status, contender.samples
    return {
        "asked": contender.asked,
        "variant": status["variant"],
        "rung": status["rung"],
        "details": status["optimization_details"],
        "checkpoint": (status["checkpoint"] or {}).get("name"),
        # Without tracebacks, which hold the paths of one machine.
        "attempts": [{k: v for k, v in attempt.items() if k != "traceback"} for attempt in status["attempts"]],
        "cold": contender.cold,
        "warm": _warm(rounds),
        "stages": _stages(rounds, rates),
        "memory": {
            "rss_peak": contender.peak.rss_peak,
            "rss_growth": contender.peak.rss_growth,
            "device_peak": contender.peak.device_peak,
        },
        "texts": [_text(samples) for samples in zip(*rounds, strict=True)],
    }


def ratios(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Return plain over optimized, so that above 1 the optimized variant is better; empty without both."""
    if not {"plain", "optimized"} <= results.keys():
        return {}
    plain, optimized = results["plain"], results["optimized"]

    def over(*keys: str) -> float | None:
        above, below = _at(plain, keys), _at(optimized, keys)
        return above / below if above is not None and below else None

    tokens = over("warm", "tokens_per_s", "median")
    return {
        "rtf": over("warm", "rtf", "median"),
        "total_s": over("warm", "total_s", "median"),
        "first_audio_s": over("warm", "first_audio_s", "median"),
        "tokens_per_s": 1 / tokens if tokens else None,
        "cold_first_audio_s": over("cold", "first_audio_s"),
        "cold_total_s": over("cold", "total_s"),
        "rss_growth": over("memory", "rss_growth"),
        "device_peak": over("memory", "device_peak"),
    }


def warnings_of(results: Mapping[str, Mapping[str, Any]], workload: Workload) -> list[str]:
    """Return what a reader of the record must know before comparing anything."""
    warnings = []
    for variant, result in results.items():
        if result["variant"] != variant:
            warnings.append(
                f"{variant} fell back to {result['variant']} ({result['rung']}): its figures are not {variant}'s"
            )
        elif any(attempt["stage"] != "probe" for attempt in result["attempts"]):
            warnings.append(f"{variant} gave up a rung and ran on {result['rung']!r}")
        forced = _forced(result, workload)
        if forced is not None:
            warnings.append(f"{variant} decoded {forced[0]} tokens where {forced[1]} were forced: it does not obey")
    tokens = {variant: sum(text["tokens"] for text in result["texts"]) for variant, result in results.items()}
    if len(set(tokens.values())) > 1:
        counts = ", ".join(f"{variant} {count}" for variant, count in tokens.items())
        warnings.append(f"the variants decoded different numbers of tokens ({counts}): compare RTF, not seconds")
    return warnings


def rounded(value: Any) -> Any:
    """Round the record to six significant digits, which is more than any of its figures has."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def _warm(rounds: Sequence[Sequence[Sample]]) -> dict[str, Any]:
    """Return the timed repeats, each figure for the whole workload, but the first audio for each text."""

    def of(figure: Callable[[Sample], float]) -> list[float]:
        return [sum(map(figure, samples)) for samples in rounds]

    total, audio = of(lambda s: s.total_s), of(lambda s: s.audio_s)
    speaking = of(lambda s: s.stages.get("generate", s.total_s))
    return {
        "total_s": spread(total),
        "audio_s": spread(audio),
        "rtf": spread(t / a for t, a in zip(total, audio, strict=True) if a),
        "first_audio_s": spread(sample.first_audio_s for samples in rounds for sample in samples),
        "tokens_per_s": spread(n / s for n, s in zip(of(lambda s: s.tokens), speaking, strict=True) if n and s),
        "chars_per_s": spread(n / t for n, t in zip(of(lambda s: s.chars), total, strict=True) if t),
        "words_per_s": spread(n / t for n, t in zip(of(lambda s: s.words), total, strict=True) if t),
    }


def _stages(rounds: Sequence[Sequence[Sample]], rates: Mapping[str, Any]) -> dict[str, Any]:
    """Return every inner stage of `generate` per round of the workload, and ``other``: what no stage claims."""
    whole = _median(rounds, lambda sample: sample.stages.get("generate", 0.0))
    names = dict.fromkeys(name for samples in rounds for sample in samples for name in sample.work)
    stages: dict[str, dict[str, Any]] = {}
    for name in names:
        seconds = _median(rounds, lambda s, key=_INNER + name: s.stages.get(key, 0.0))  # type: ignore[misc]
        work = sum((sample.work[name] for sample in rounds[-1] if name in sample.work), StageWork())
        floor_s = floor_of(work, rates)
        stages[name] = {
            "seconds": seconds,
            "share": seconds / whole if whole else 0.0,
            "steps": work.steps,
            "seconds_per_step": seconds / work.steps if work.steps else None,
            "bytes": work.bytes,
            "flops": work.flops,
            "dtype": work.dtype,
            "floor_s": floor_s,
            "distance": seconds / floor_s if floor_s else None,
        }
    if stages:
        rest = max(0.0, whole - sum(stage["seconds"] for stage in stages.values()))
        stages["other"] = {"seconds": rest, "share": rest / whole if whole else 0.0}
    return stages


def _text(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return one text over the repeats."""
    last = samples[-1]
    return {
        "chars": last.chars,
        "words": last.words,
        "pieces": last.pieces,
        "tokens": last.tokens,
        "audio_s": last.audio_s,
        "total_s": spread(sample.total_s for sample in samples),
        "first_audio_s": spread(sample.first_audio_s for sample in samples),
    }


def _median(rounds: Sequence[Sequence[Sample]], figure: Callable[[Sample], float]) -> float:
    values = spread(sum(map(figure, samples)) for samples in rounds)
    return values["median"] if values else 0.0


def _forced(result: Mapping[str, Any], workload: Workload) -> tuple[int, int] | None:
    """Return the tokens decoded and forced where they differ by more than the rounding of each piece explains."""
    rate = workload.tokens_per_char
    if rate is None:
        return None
    decoded = sum(text["tokens"] for text in result["texts"])
    forced = sum(max(1, round(rate * len(item.text))) for item in workload.texts) * workload.batch
    # Splitting rounds once per piece, and drops the blanks between pieces.
    slack = sum((text["pieces"] - 1) * (1 + 2 * rate) for text in result["texts"])
    return (decoded, forced) if abs(decoded - forced) > slack else None


def _at(value: Any, keys: Sequence[str]) -> float | None:
    for key in keys:
        value = None if value is None else value[key]
    return value  # type: ignore[no-any-return]
