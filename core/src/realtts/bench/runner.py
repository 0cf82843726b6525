"""The benchmark: both variants in one process, repeats interleaved, everything about the run in one record."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.bench.contender import Contender
from realtts.bench.facts import machine_facts, now
from realtts.bench.floor import measure_floor
from realtts.bench.peak import fits_beside
from realtts.bench.remote import environment_of, run_there
from realtts.bench.results import SCHEMA, ratios, rounded, summary, warnings_of
from realtts.bench.tools import weights
from realtts.bench.workload import words_of
from realtts.errors import InvalidOption
from realtts.provider.facade import RealProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from realtts.bench.workload import Workload
    from realtts.contract.spec import ProviderSpec
    from realtts.settings import Settings

__all__ = ["VARIANTS", "check_variants", "described", "run_bench"]

VARIANTS = ("plain", "optimized")


def run_bench(
    provider: str | ProviderSpec | None,
    workload: Workload,
    *,
    variants: Sequence[str] = VARIANTS,
    settings: Mapping[str, Any] | None = None,
    label: str = "",
    random_weights: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Time a provider's variants against each other.

    Each is loaded, speaks its first text cold and all others once; then the repeats are timed in turn, the order
    alternating, so that a machine that slows down slows both. When memory does not hold both models they are timed one
    after the other, and the record says so. A provider in an environment of its own is timed there.

    Args:
        provider: Name, spec, or None for the default.
        workload: What both speak.
        variants: ``"plain"``, ``"optimized"`` or both.
        settings: Keywords of `RealProvider`: ``model``, ``device``, ``dtype`` and other settings.
        label: For the record.
        random_weights: ``"tiny"`` or ``"full"``: random weights of that size instead of a model, which the plugin
            writes; with a ``model`` in the settings: that it is one, for the record.
        tell: Receives lines of progress.

    Returns:
        The record, JSON-able; its keys are in the benchmark how-to.

    Raises:
        InvalidOption: An unknown variant.
        RealTTSError: No rung of a variant works, or something is wrong with the request.
    """
    check_variants(variants)
    tell = tell or _silent
    asked = dict(settings or {})
    with RealProvider(provider, **asked) as unloaded:  # never loaded
        spec, base, environment = unloaded.spec, unloaded.settings, environment_of(unloaded)
    if environment is not None:
        there: dict[str, Any] = run_there(
            environment, "bench", workload, settings=asked, tell=tell, variants=list(variants), label=label,
            random_weights=random_weights,
        )  # fmt: skip
        return {**there, "isolated": True}
    with weights(spec, workload, asked, random_weights) as (spoken, keywords):
        return _bench(spec, spoken, variants, keywords, base, label=label, random_weights=random_weights, tell=tell)


def _bench(
    spec: ProviderSpec,
    workload: Workload,
    variants: Sequence[str],
    settings: Mapping[str, Any],
    base: Settings,
    *,
    label: str,
    random_weights: str | None,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    keywords = {**settings, "force_tokens_per_char": workload.tokens_per_char}
    notes = []
    if spec.optimized is None and "optimized" in variants:
        variants = ["plain"]
        notes.append("the provider has no optimized variant: plain alone was timed")
    workload, lacking = workload.spoken_by(spec)
    if lacking:
        notes.append(f"left out, since the provider does not speak them: {', '.join(lacking)}")
    with contextlib.ExitStack() as closing:
        contenders = [Contender(spec, variant, keywords, workload) for variant in dict.fromkeys(variants)]
        for contender in contenders:
            closing.callback(contender.close)
        interleaved = _run(contenders, workload, tell)
        status = contenders[0].status
        rates = measure_floor(spec, status["optimization_details"]["device"] or "cpu", base)
        results = {contender.asked: summary(contender, rates) for contender in contenders}
    if random_weights is not None:
        for measured in results.values():  # the name of a temporary folder tells nobody anything
            measured["checkpoint"] = f"random, {random_weights}"
    record = {
        "schema": SCHEMA,
        "kind": "realtts.bench",
        "label": label,
        "date": now(),
        "provider": spec.name,
        "isolated": False,
        "workload": {**described(workload), "random_weights": random_weights, "interleaved": interleaved},
        "machine": machine_facts(base, status["versions"]),
        "floor": rates,
        "variants": results,
        "ratios": ratios(results),
        "warnings": [*notes, *warnings_of(results, workload)],
    }
    result: dict[str, Any] = rounded(record)
    return result


def check_variants(variants: Sequence[str]) -> None:
    """Check names of variants.

    Raises:
        InvalidOption: There is no such variant.
    """
    for variant in variants:
        if variant not in VARIANTS:
            raise InvalidOption(f"variant is {variant!r}", who="bench", fix=f"choose from {', '.join(VARIANTS)}")


def _run(contenders: Sequence[Contender], workload: Workload, tell: Callable[[str], None]) -> bool:
    """Load, warm up and time; return whether the repeats were interleaved."""
    head, *rest = contenders
    _start(head, tell)
    if not rest:
        _time([head], workload, tell)
        return False
    if _fits_beside(head):
        _start(rest[0], tell)
        _time(contenders, workload, tell)
        return True
    tell("memory does not hold both models: one after the other")
    _time([head], workload, tell)
    head.close()
    _start(rest[0], tell)
    _time(rest, workload, tell)
    return False


def _start(contender: Contender, tell: Callable[[str], None]) -> None:
    tell(f"{contender.asked}: loading, and a first pass")
    contender.start()


def _time(contenders: Sequence[Contender], workload: Workload, tell: Callable[[str], None]) -> None:
    for repeat, order in enumerate(_orders(contenders, workload.repeats), 1):
        tell(f"repeat {repeat} of {workload.repeats}")
        for contender in order:
            contender.time_round()


def _orders(contenders: Sequence[Contender], repeats: int) -> Iterator[Sequence[Contender]]:
    """Yield the order of the variants for each repeat: each goes first in turn."""
    for repeat in range(repeats):
        yield contenders if repeat % 2 == 0 else contenders[::-1]


def _fits_beside(head: Contender) -> bool:
    """Tell whether there is room for a second model of that size."""
    return fits_beside(head.peak)


def described(workload: Workload) -> dict[str, Any]:
    """Return the workload for a record."""
    return {
        "text_set": workload.name,
        "texts": len(workload.texts),
        "languages": sorted({item.language for item in workload.texts if item.language}),
        "chars": workload.chars,
        "words": words_of(workload.texts),
        "text": workload.texts[0].text if workload.name == "text" else None,
        "repeats": workload.repeats,
        "stream": workload.stream,
        "batch": workload.batch,
        "tokens": workload.tokens,
        "tokens_per_char": workload.tokens_per_char,
        "seed": workload.seed,
        # Of a file the name only: where it lies is nobody's business.
        "voice": Path(workload.voice).name if isinstance(workload.voice, (str, Path)) else None,
        "options": dict(workload.options),
    }


def _silent(_: str) -> None:
    """Ignore the event."""
