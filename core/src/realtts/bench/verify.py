"""Parity: the optimized variant against the plain one on the same weights, and streams against the whole."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from realtts.bench import parity
from realtts.bench.facts import lacking_extras, machine_facts, now
from realtts.bench.remote import environment_of, run_there
from realtts.bench.subject import Subject
from realtts.bench.tools import find_tools, weights
from realtts.provider.facade import RealProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realtts.bench.tools import PluginTools
    from realtts.bench.workload import Workload
    from realtts.contract.spec import ProviderSpec
    from realtts.synthesis.plan import Plan

__all__ = ["Check", "run_verify"]

SCHEMA = 1

_EXACT = {"dtype": "float32", "quantization": "none", "tf32": False}
"""Settings under which the optimized variant promises what the plain one says."""

_NOT_PRECISIONS = ("float32", "streaming", "audio")
_STREAMING = 1e-5
_AUDIO = 1e-3
_TEACHER_FORCED = 1e-4
"""Tolerances where the plugin states none."""


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes:
        name: What was compared.
        value: What was found: a difference, or words.
        tolerance: What is allowed.
        ok: Whether it is kept; None when it could not be checked here.
        note: Why not, or what else to know.
    """

    name: str
    value: float | str
    tolerance: float | str
    ok: bool | None
    note: str = ""


def run_verify(
    provider: str | ProviderSpec | None,
    workload: Workload,
    *,
    settings: Mapping[str, Any] | None = None,
    random_weights: str | None = None,
) -> dict[str, Any]:
    """Check a provider's optimized variant against its plain one.

    Tokens and teacher-forced outputs are compared where the plugin's testing module offers them; audio always. An
    isolated provider is checked in its environment, by a process of its own.

    Args:
        provider: Name, spec, or None for the default.
        workload: What is spoken; of a text that is split, tokens and outputs of the first piece are compared.
        settings: Keywords of `RealProvider`; precision is set by the checks themselves.
        random_weights: ``"tiny"`` or ``"full"``: random weights of that size instead of a model.

    Returns:
        A JSON-able record with ``checks`` (see `Check`) and ``ok``.

    Raises:
        RealTTSError: The plain variant cannot speak, or something is wrong with the request.
    """
    asked = dict(settings or {})
    with RealProvider(provider, **asked) as unloaded:  # never loaded
        spec, base, environment = unloaded.spec, unloaded.settings, environment_of(unloaded)
        versions = unloaded.get_provider_status()["versions"]
    if environment is not None:
        there: dict[str, Any] = run_there(
            environment, "verify", workload, settings=asked, random_weights=random_weights
        )  # fmt: skip
        return {**there, "isolated": True}
    with weights(spec, workload, asked, random_weights) as (chosen, keywords):
        spoken, lacking = chosen.spoken_by(spec)
        tools = find_tools(spec)
        rate = {"force_tokens_per_char": spoken.tokens_per_char}
        checks, details = _checks(spec, {**keywords, **rate}, spoken, tools)
    return {
        "schema": SCHEMA,
        "kind": "realtts.verify",
        "date": now(),
        "provider": spec.name,
        "testing_module": tools.module or None,
        "isolated": False,
        "plain": details,
        "lacking_extras": lacking_extras(spec.name),
        "texts": len(spoken.texts),
        "left_out": lacking,
        "tokens_per_char": spoken.tokens_per_char,
        "machine": machine_facts(base, versions),
        "checks": [asdict(check) for check in checks],
        "ok": all(check.ok is not False for check in checks),
    }


def _checks(
    spec: ProviderSpec, keywords: Mapping[str, Any], workload: Workload, tools: PluginTools
) -> tuple[list[Check], dict[str, Any]]:
    """Return all checks, and what the plain variant reported of itself."""
    with Subject(spec, {**keywords, **_EXACT, "optimize": False}) as plain:
        plain.load()
        details = dict(plain.ladder.details)
        reference = _Reference(plain, workload, tools)
        checks = [_streaming("plain", plain, reference.streamed, reference.audio, tools)]
        if spec.optimized is not None:
            checks += _exact(spec, keywords, reference, tools)
    if spec.optimized is not None and tools.teacher_forced is not None:
        names = [name for name in tools.TOLERANCES if name not in _NOT_PRECISIONS]
        checks += [_precision(spec, keywords, name, reference, tools) for name in names]
    return checks, details


class _Reference:
    """The plain variant's output, in every form that something is compared with."""

    def __init__(self, plain: Subject, workload: Workload, tools: PluginTools) -> None:
        self.plain = plain
        self.plans = [plain.plan(item, workload) for item in workload.texts]
        live = replace(workload, options={**tools.STREAM_OPTIONS, **workload.options})
        self.streamed = [plain.plan(item, live) for item in live.texts]
        self.tokens = [plain.apply(tools.tokens, plan) if tools.tokens else None for plan in self.plans]
        self.outputs = [
            plain.apply(tools.teacher_forced, plan, tokens) if tools.teacher_forced else None
            for plan, tokens in zip(self.plans, self.tokens, strict=True)
        ]
        self.audio = [plain.whole([plan])[0].samples for plan in self.plans]


def _exact(
    spec: ProviderSpec, settings: Mapping[str, Any], reference: _Reference, tools: PluginTools
) -> Iterator[Check]:
    """Check the optimized variant in float32."""
    with Subject(spec, {**settings, **_EXACT, "optimize": True}) as subject:
        rung = subject.load()
        if rung.facts.variant != "optimized":
            why = subject.ladder.attempts[-1]
            yield Check(
                "optimized runs", f"fell back to {rung.facts.variant}", "optimized", ok=False, note=why.summary()
            )
            return
        yield Check("optimized runs", rung.facts.rung, "optimized", ok=True)
        same = True
        if tools.tokens is not None:
            check = _tokens(subject, reference, tools)
            same = check.value == "equal"
            yield check
        if tools.teacher_forced is not None:
            yield _outputs("float32", subject, reference, tools, tools.TOLERANCES.get("float32", _TEACHER_FORCED))
        audio = [subject.whole([plan])[0].samples for plan in reference.plans]
        yield from _audio(audio, reference, tools, same=same)
        yield _streaming("optimized", subject, reference.streamed, audio, tools)
        if len(reference.plans) > 1:
            together = [speech.samples for speech in subject.whole(reference.plans)]
            yield _compared("batch against single", together, audio, tools.TOLERANCES.get("audio", _AUDIO))


def _tokens(subject: Subject, reference: _Reference, tools: PluginTools) -> Check:
    """Check that the tokens are the same; at a first difference the two candidates must be as good as equal."""
    assert tools.tokens is not None
    name, compared, worst = "tokens, float32", 0, 0.0
    notes = []
    for plan, expected in zip(reference.plans, reference.tokens, strict=True):
        actual = subject.apply(tools.tokens, plan)
        compared += parity.count(expected)
        step = parity.first_difference(expected, actual)
        if step is None:
            continue
        notes.append(f"text {reference.plans.index(plan)} differs at token {step}")
        pair = parity.candidates(expected, actual, step)
        if pair is None or tools.scores is None:
            return Check(name, "different", "equal", ok=False, note=notes[-1])
        odds = reference.plain.apply(tools.scores, plan, expected, step)
        worst = max(worst, parity.relative_gap(odds[pair[0]], odds[pair[1]]))
    if not math.isfinite(worst):
        return Check(name, "different", "equal", ok=False, note=f"{notes[0]}, where a p/e is 0 or not finite")
    if notes:
        ok = worst <= parity.TIE
        return Check(name, f"ties, p/e within {worst:.1e}", f"equal, or p/e within {parity.TIE:g}", ok, notes[0])
    return Check(name, "equal", "equal", ok=True, note=f"{compared} tokens")


def _precision(
    spec: ProviderSpec, settings: Mapping[str, Any], name: str, reference: _Reference, tools: PluginTools
) -> Check:
    """Check the optimized variant at a lower precision, such as ``bfloat16`` or ``bfloat16+int8``."""
    tolerance = tools.TOLERANCES[name]
    precision = parity.precision_settings(name)
    with Subject(spec, {**settings, **precision, "precision_policy": "balanced", "optimize": True}) as subject:
        context = subject.load().context
        got = {"dtype": context.dtype, "quantization": context.settings.quantization}
        if context.variant != "optimized" or any(got[key] != value for key, value in precision.items()):
            last = subject.ladder.attempts[-1].summary() if subject.ladder.attempts else f"it runs {got}"
            return Check(f"teacher-forced, {name}", "not offered here", tolerance, ok=None, note=last)
        return _outputs(name, subject, reference, tools, tolerance)


def _outputs(name: str, subject: Subject, reference: _Reference, tools: PluginTools, tolerance: float) -> Check:
    """Check the relative error of logits or mel with the plain variant's tokens as the past."""
    assert tools.teacher_forced is not None
    errors = [
        parity.relative_error(subject.apply(tools.teacher_forced, plan, tokens), output)
        for plan, tokens, output in zip(reference.plans, reference.tokens, reference.outputs, strict=True)
    ]
    return _limited(f"teacher-forced, {name}", max(errors), tolerance, "another shape, or not finite")


def _audio(audio: Sequence[Any], reference: _Reference, tools: PluginTools, *, same: bool) -> Iterator[Check]:
    """Check the sound of the optimized variant against the plain one's."""
    tolerance = tools.TOLERANCES.get("audio", _AUDIO)
    if not same:
        yield Check("audio, float32", "not compared", tolerance, ok=None, note="the tokens are not the same")
        return
    lengths = max(abs(len(a) - len(b)) for a, b in zip(audio, reference.audio, strict=True))
    yield Check("audio length, samples", lengths, 0, ok=lengths == 0)
    yield _compared("audio, float32", audio, reference.audio, tolerance)


def _streaming(
    variant: str, subject: Subject, plans: Sequence[Plan], audio: Sequence[Any], tools: PluginTools
) -> Check:
    streams = [subject.streamed(plan) for plan in plans]
    tolerance = tools.TOLERANCES.get("streaming", _STREAMING)
    return _compared(f"streaming against whole, {variant}", streams, audio, tolerance)


def _compared(name: str, actual: Sequence[Any], expected: Sequence[Any], tolerance: float) -> Check:
    """Return the largest difference between samples; infinite for sounds of different length or with NaN."""
    worst = max(parity.largest_difference(a, b) for a, b in zip(actual, expected, strict=True))
    return _limited(name, worst, tolerance, "another length, or not finite")


def _limited(name: str, difference: float, tolerance: float, infinite: str) -> Check:
    """Check a difference against its tolerance; an infinite one is put in words, since JSON has no infinity."""
    return Check(name, difference if math.isfinite(difference) else infinite, tolerance, ok=difference <= tolerance)
