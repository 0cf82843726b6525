"""Optimized against plain on the device, with tiny weights: every check of `realtts verify`, and a table of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpu.setup import MODELS

if TYPE_CHECKING:
    from gpu.setup import Setup

__all__ = ["PRECISIONS", "measure"]

PRECISIONS: dict[str, dict[str, Any]] = {
    "fp32": {"dtype": "float32", "quantization": "none", "tf32": False},
    "bf16": {"dtype": "bfloat16", "quantization": "none"},
    "fp8": {"dtype": "bfloat16", "quantization": "fp8"},
    "int8": {"dtype": "bfloat16", "quantization": "int8"},
}
"""Settings by the name in the table."""

_SENTENCE = "The birch canoe slid."
_TOKENS = 24


def measure(setup: Setup, name: str) -> None:
    """Write down the checks, and for each precision the error of logits or mel with forced tokens."""
    from realtts.bench import Text, Workload, run_verify

    findings = setup.findings
    model, settings = MODELS[name], None
    work = Workload((Text(_SENTENCE),), tokens=8 if setup.dry else _TOKENS, options=dict(model.options))
    with findings.measuring("parity", f"{name} | checkpoint"):
        settings = {**setup.common, "model": str(setup.checkpoint(name, "tiny"))}
    if settings is None:
        return
    with findings.measuring("parity", f"{name} | verify") as result:
        record = run_verify(setup.spec(name), work, settings=settings)
        keys = ("name", "value", "tolerance", "ok", "note")
        result.update(ok=record["ok"], checks=[{key: check[key] for key in keys} for check in record["checks"]])
    with findings.measuring("parity", f"{name} | reference"):
        reference = _Reference(setup, name, work, settings)
        for precision in PRECISIONS:
            _error_at(setup, name, precision, reference)


class _Reference:
    """The plain variant's tokens, and what it computes of them in float32."""

    def __init__(self, setup: Setup, name: str, work: Any, settings: dict[str, Any]) -> None:
        from realtts.bench.subject import Subject
        from realtts.bench.tools import find_tools

        self.spec, self.work = setup.spec(name), work
        self.tools = find_tools(self.spec)
        spoken, _ = work.spoken_by(self.spec)
        self.settings = {**settings, "force_tokens_per_char": spoken.tokens_per_char}
        with Subject(self.spec, {**self.settings, **PRECISIONS["fp32"], "optimize": False}) as plain:
            plan = plain.plan(work.texts[0], work)
            self.tokens = plain.apply(self.tools.tokens, plan) if self.tools.tokens else None
            assert self.tools.teacher_forced is not None
            self.output = plain.apply(self.tools.teacher_forced, plan, self.tokens)


def _error_at(setup: Setup, name: str, precision: str, reference: _Reference) -> None:
    from realtts.bench.parity import relative_error
    from realtts.bench.subject import Subject

    with setup.findings.measuring("parity", f"{name} | {precision}") as result:
        settings = {**reference.settings, **PRECISIONS[precision], "optimize": True}
        with Subject(reference.spec, settings) as subject:
            facts = subject.load().facts
            plan = subject.plan(reference.work.texts[0], reference.work)
            assert reference.tools.teacher_forced is not None
            output = subject.apply(reference.tools.teacher_forced, plan, reference.tokens)
            result.update(rung=facts.rung, dtype=facts.dtype, quantization=facts.settings.quantization)
            result["relative_error"] = relative_error(output, reference.output)
            # A rung that was given up has been replaced by another precision.
            result["as_asked"] = (facts.dtype, facts.settings.quantization) == (
                settings["dtype"],
                settings["quantization"],
            )
