"""Parity checks: what is compared, what misses a tolerance, and what is not to be had."""

import json

import numpy as np
import pytest
import staged_provider as staged
from staged_provider import StagedFastProvider, staged_spec

from realtts import InvalidPlugin, hookimpl
from realtts.bench import Text, Workload, parity, run_verify
from realtts.testing import fake_spec, faults, faulty


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def verify(monkeypatch):
    """Runs the checks on the staged provider with another optimized class; the checks by name."""

    def run(optimized=None, **changes):
        if optimized is not None:
            monkeypatch.setattr(faults, "Optimized", optimized, raising=False)
            changes["optimized"] = f"{faults.__name__}:Optimized"
        workload = Workload((Text("Hello there, world."), Text("And good night.")), tokens=30)
        found = run_verify(staged_spec(**changes), workload)
        assert json.loads(json.dumps(found)) == found
        return found, {check["name"]: check for check in found["checks"]}

    return run


def test_everything_holds(verify):
    """Tokens, outputs in both precisions, audio, streams and batches; all within their tolerances."""
    found, checks = verify()
    assert found["ok"]
    assert (found["kind"], found["testing_module"]) == ("realtts.verify", "staged_provider")
    assert list(checks) == [
        "streaming against whole, plain",
        "optimized runs",
        "tokens, float32",
        "teacher-forced, float32",
        "audio length, samples",
        "audio, float32",
        "streaming against whole, optimized",
        "batch against single",
        "teacher-forced, float16",
    ]
    assert checks["tokens, float32"]["note"] == "60 tokens"
    assert 0 < checks["teacher-forced, float16"]["value"] <= checks["teacher-forced, float16"]["tolerance"]


def test_wrong_weights_are_found(verify):
    """A variant that computes something else misses tokens and outputs; its audio is not compared."""

    class Wrong(StagedFastProvider):
        @hookimpl
        def compile(self, context, model):
            model.weights.head[:] = model.weights.head[::-1]

    found, checks = verify(Wrong)
    assert not found["ok"]
    assert checks["tokens, float32"]["ok"] is False
    assert "differs at token" in checks["tokens, float32"]["note"]
    assert checks["teacher-forced, float32"]["ok"] is False
    assert checks["audio, float32"]["ok"] is None


def test_another_length_is_said_in_words(verify):
    """What cannot be subtracted is different, and the record stays JSON."""

    class Short(StagedFastProvider):
        @hookimpl
        def generate(self, context, model, request):
            yield next(staged.StagedProvider().generate(context, model, request))

    _, checks = verify(Short)
    assert (checks["audio, float32"]["value"], checks["audio, float32"]["ok"]) == (
        "another length, or not finite",
        False,
    )
    assert checks["audio length, samples"]["ok"] is False


def test_a_tie_is_no_difference(verify, monkeypatch):
    """At the first difference two candidates that are as good as equal are accepted, and said to be a tie."""
    real = staged.tokens

    def tokens(context, model, request):
        found = real(context, model, request)
        if context.variant == "optimized":
            found[3] = (found[3] + 1) % 64
        return found

    monkeypatch.setattr(staged, "tokens", tokens)
    _, checks = verify()
    assert checks["tokens, float32"]["ok"] is False, "another token by far"
    monkeypatch.setattr(staged, "scores", lambda *_: np.ones(64))
    found, checks = verify()
    assert found["ok"]
    assert checks["tokens, float32"]["value"].startswith("ties")
    monkeypatch.delattr(staged, "scores")
    _, checks = verify()
    assert (checks["tokens, float32"]["value"], checks["tokens, float32"]["ok"]) == ("different", False)


@pytest.mark.parametrize("odds", [0.0, np.nan, np.inf])
def test_candidates_that_cannot_be_compared_are_no_tie(verify, monkeypatch, odds):
    """Neither two that cannot be drawn nor a broken score prove anything."""
    real = staged.tokens

    def tokens(context, model, request):
        found = real(context, model, request)
        if context.variant == "optimized":
            found[3] = (found[3] + 1) % 64
        return found

    monkeypatch.setattr(staged, "tokens", tokens)
    monkeypatch.setattr(staged, "scores", lambda *_: np.full(64, odds))
    found, checks = verify()
    assert not found["ok"]
    assert (checks["tokens, float32"]["value"], checks["tokens, float32"]["ok"]) == ("different", False)


def test_a_broken_reference_of_a_later_text_is_found(verify, monkeypatch):
    """NaN in what the plain variant says of the second text proves nothing."""
    real = staged.teacher_forced

    def teacher_forced(context, model, request, tokens):
        found = real(context, model, request, tokens)
        return found * np.nan if context.variant == "plain" and "night" in request.text else found

    monkeypatch.setattr(staged, "teacher_forced", teacher_forced)
    _, checks = verify()
    assert checks["teacher-forced, float32"]["ok"] is False


def test_a_model_may_be_a_path(tmp_path):
    """As `RealProvider` takes it."""
    found = run_verify(fake_spec(), Workload((Text("one two"),)), settings={"model": tmp_path})
    assert found["ok"]


def test_a_missed_tolerance_is_named(verify, monkeypatch):
    """The table says which precision is too far off."""
    monkeypatch.setattr(staged, "TOLERANCES", {**staged.TOLERANCES, "float16": 1e-9})
    found, checks = verify()
    assert not found["ok"]
    assert checks["teacher-forced, float16"]["ok"] is False


def test_a_precision_that_is_not_offered_is_no_failure(verify, monkeypatch):
    """What this machine or this variant has not is skipped, with the reason."""
    monkeypatch.setattr(staged, "TOLERANCES", {"bfloat16": 0.1, "int8": 0.1, "float16+int8": 0.1})
    found, checks = verify()
    assert found["ok"]
    assert checks["teacher-forced, bfloat16"]["ok"] is None
    assert "float32" in checks["teacher-forced, bfloat16"]["note"]


def test_a_precision_that_does_not_exist(verify, monkeypatch):
    """A misspelt key of the tolerances is the plugin's fault."""
    monkeypatch.setattr(staged, "TOLERANCES", {"fp7": 0.1})
    with pytest.raises(InvalidPlugin, match="'fp7'"):
        verify()


def test_a_fallback_is_a_failure(verify):
    """An optimized variant that does not run has nothing to show."""
    workload = Workload((Text("Hello there."),), tokens=20)
    found = run_verify(faulty(staged_spec(), "warmup"), workload)
    checks = {check["name"]: check for check in found["checks"]}
    assert not found["ok"]
    assert checks["optimized runs"]["value"] == "fell back to plain"
    assert "warmup was told to fail" in checks["optimized runs"]["note"]
    assert checks["teacher-forced, float16"]["ok"] is None


def test_a_provider_without_tools():
    """Audio alone is compared."""
    found = run_verify(fake_spec(), Workload((Text("one two"), Text("three"))))
    assert found["ok"]
    assert found["testing_module"] is None
    assert not any("tokens" in check["name"] or "teacher" in check["name"] for check in found["checks"])


def test_a_provider_without_an_optimized_variant():
    """Its streams are checked."""
    found = run_verify(fake_spec(optimized=None), Workload((Text("one two"),)))
    assert [check["name"] for check in found["checks"]] == ["streaming against whole, plain"]


def test_streams_that_differ_are_found(verify):
    """A stream that is not what `generate` gives misses the tolerance."""

    class Moody(StagedFastProvider):
        calls = 0

        @hookimpl
        def generate(self, context, model, request):
            import dataclasses

            Moody.calls += 1
            for chunk in staged.StagedProvider().generate(context, model, request):
                yield dataclasses.replace(chunk, samples=chunk.samples * np.float32(0.5 + 0.1 * (Moody.calls % 3)))

    _, checks = verify(Moody)
    assert checks["audio, float32"]["ok"] is False
    assert checks["streaming against whole, optimized"]["ok"] is False


def test_arithmetic_of_comparisons():
    """Differences, errors and the settings of a precision."""
    assert parity.first_difference([1, 2, 3], [1, 2, 3]) is None
    assert parity.first_difference([[1, 2], [3, 4]], [[1, 2], [0, 4]]) == 2
    assert parity.first_difference([1, 2], [1, 2, 3]) == 2
    assert parity.candidates([1, 2], [1, 2, 3], 2) is None
    assert parity.relative_gap(0.0, 0.5) == 1.0
    assert parity.relative_gap(0.0, 0.0) == float("inf"), "neither can be drawn"
    for pair in ((np.nan, 1.0), (1.0, np.nan), (np.inf, np.inf), (np.inf, 1.0)):
        assert parity.relative_gap(*pair) == float("inf")
    assert parity.relative_gap(1.0, 0.5) == 0.5
    assert parity.relative_error([3.0, 4.0], [3.0, 0.0]) == pytest.approx(4 / 3)
    assert parity.relative_error([0.0], [0.0]) == 0.0
    assert parity.relative_error([np.nan], [0.0]) == float("inf")
    assert parity.relative_error([0.0], [np.nan]) == float("inf")
    assert parity.relative_error([1.0, 2.0], [1.0]) == float("inf")
    assert parity.largest_difference(np.zeros(0), np.zeros(0)) == 0.0
    assert parity.largest_difference(np.zeros(2), np.zeros(3)) == float("inf")
    assert parity.largest_difference(np.array([np.nan]), np.zeros(1)) == float("inf")
    assert parity.largest_difference(np.zeros(1), np.array([np.nan])) == float("inf")
    assert parity.precision_settings("bfloat16+int8") == {"dtype": "bfloat16", "quantization": "int8"}
    assert parity.precision_settings("int4") == {"dtype": "float32", "quantization": "int4"}
