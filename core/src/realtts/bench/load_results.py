"""From what listeners noted to a load's figures and its record. Of the target only what `Account` holds is needed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from realtts.bench.facts import now
from realtts.bench.results import LOAD_KIND, SCHEMA, rounded
from realtts.contract.stages import StageWork

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from realtts.bench.load_drive import Outcome, Round
    from realtts.bench.load_source import Load

__all__ = ["figures_of", "load_ratios", "load_record", "load_warnings", "percentiles"]

_LATE_PER_REQUEST_S = 0.02
"""Silence that nobody hears: less than a frame of most players."""


def load_record(
    results: Mapping[str, Mapping[str, Any]],
    load: Load,
    *,
    label: str,
    provider: str,
    isolated: bool | None,
    workload: Mapping[str, Any],
    machine: Mapping[str, Any],
    ratios: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the record of a load, JSON-able; its keys are in the benchmark how-to.

    Args:
        results: Figures by contender.
        load: How many callers there were, for how long.
        label: What the user calls it.
        provider: Who spoke.
        isolated: Whether in an environment of its own; None: it is not known.
        workload: What was spoken.
        machine: Where.
        ratios: Of the contenders to each other.
        notes: What a reader has to know, beside the warnings that follow from the figures.
    """
    record: dict[str, Any] = rounded({
        "schema": SCHEMA,
        "kind": LOAD_KIND,
        "label": label,
        "date": now(),
        "provider": provider,
        "isolated": isolated,
        "workload": workload,
        "load": {"rate": load.rate, "concurrency": load.concurrency, "duration_s": load.duration_s,
                 "rounds": load.rounds, "seed": load.seed},
        "machine": machine,
        "variants": results,
        "ratios": ratios,
        "warnings": [*notes, *load_warnings(results)],
    })  # fmt: skip
    return record


def figures_of(rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the figures of a target.

    Args:
        rounds: What came of each of its rounds.
    """
    outcomes = [outcome for part in rounds for outcome in part.outcomes]
    spoken = [outcome for outcome in outcomes if not outcome.error]
    seconds = sum(part.seconds for part in rounds)
    audio = sum(outcome.listener.audio_s for outcome in spoken)
    tokens = sum(outcome.account.tokens for outcome in spoken)
    gaps = [outcome for outcome in spoken if outcome.listener.gap_s > _LATE_PER_REQUEST_S]
    stages = _stages(spoken)
    decode = _decode(stages)
    return {
        "requests": len(outcomes),
        "failed": dict(Counter(outcome.error for outcome in outcomes if outcome.error)),
        "seconds": seconds,
        "audio_s": audio,
        "audio_s_per_s": audio / seconds if seconds else 0.0,
        "requests_per_s": len(spoken) / seconds if seconds else 0.0,
        "first_audio_s": percentiles(o.listener.first_s for o in spoken if o.listener.first_s is not None),
        "total_s": percentiles(outcome.total_s for outcome in spoken),
        "queue_s": percentiles(o.account.queue_s for o in spoken if o.account.queue_s is not None),
        "rtf": percentiles(o.total_s / o.listener.audio_s for o in spoken if o.listener.audio_s),
        "underruns": {
            "requests": len(gaps),
            "share": len(gaps) / len(spoken) if spoken else 0.0,
            "gaps": sum(outcome.listener.gaps for outcome in gaps),
            "gap_s": percentiles(outcome.listener.gap_s for outcome in gaps),
        },
        "tokens": tokens,
        "tokens_per_s": tokens / seconds if tokens and seconds else None,
        "tokens_per_step": tokens / decode["steps"] if tokens and decode else None,
        "rows_per_step": decode["rows_per_step"] if decode else None,
        "stages": stages,
    }


def percentiles(values: Iterable[float]) -> dict[str, float] | None:
    """Return mean, percentiles (between two values in proportion), largest and number; None when there are none."""
    ordered = sorted(values)
    if not ordered:
        return None

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    return {
        "mean": sum(ordered) / len(ordered),
        "p50": at(0.5),
        "p95": at(0.95),
        "p99": at(0.99),
        "max": ordered[-1],
        "n": len(ordered),
    }


def load_ratios(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Return together over alone, or the other way round where less is better: above 1 together is better."""
    if not {"together", "alone"} <= results.keys():
        return {}
    together, alone = results["together"], results["alone"]

    def over(above: Any, below: Any) -> float | None:
        return above / below if above is not None and below else None

    ratios = {name: over(together[name], alone[name]) for name in ("audio_s_per_s", "requests_per_s")}
    for name in ("first_audio_s", "total_s", "queue_s", "rtf"):
        slow, fast = alone[name] or {}, together[name] or {}
        ratios |= {f"{name}_{share}": over(slow.get(share), fast.get(share)) for share in ("p50", "p95", "p99")}
    return ratios


def load_warnings(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what a reader of the record must know before comparing anything."""
    warnings = []
    for name, result in results.items():
        if result["failed"]:
            counts = ", ".join(f"{error} {count}" for error, count in sorted(result["failed"].items()))
            warnings.append(f"{name}: {sum(result['failed'].values())} of {result['requests']} failed ({counts})")
        if (result["first_audio_s"] or {"n": 0})["n"] < 100:
            warnings.append(f"{name}: fewer than 100 requests were heard, so p99 is hardly more than the largest")
    return warnings


def _stages(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float | None]]:
    """Return for every inner stage the steps that were made, and the mean number of rows of one."""
    totals: dict[str, StageWork] = {}
    for outcome in outcomes:
        for name, work in outcome.account.work.items():
            totals[name] = totals.get(name, StageWork()) + work
    return {
        name: {
            "steps": work.own_steps,
            "rows_per_step": work.row_steps / work.own_steps if work.own_steps else None,
        }
        for name, work in totals.items()
    }


def _decode(stages: Mapping[str, Mapping[str, float | None]]) -> Mapping[str, Any] | None:
    """Return the stage that decodes: the one of that name, else the one with the most steps."""
    stepping = {name: stage for name, stage in stages.items() if stage["steps"]}
    if "decode" in stepping:
        return stepping["decode"]
    return max(stepping.values(), key=lambda stage: stage["steps"] or 0.0, default=None)
