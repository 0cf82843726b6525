"""Float32 that a user names is float32 everywhere, and half precision that a CPU is slow at is warned of."""

import logging

import pytest

from realtts import InvalidPlugin, RealProvider, Rung
from realtts.contract.hooks import hookimpl
from realtts.machine import hardware
from realtts.testing import FakeProvider, fake_spec

SEEN = []


class Watching(FakeProvider):
    """A variant that keeps the settings of its load."""

    @hookimpl
    def load(self, context):
        """Keep them."""
        SEEN.append(context.settings)
        return super().load(context)


SPEC = {"optimized": f"{__name__}:Watching", "torch": False}


@pytest.mark.parametrize(
    ("settings", "tf32"),
    [
        ({"dtype": "float32"}, False),
        ({"dtype": "fp32"}, False),
        ({"dtype": "float32", "tf32": True}, True),
        ({"dtype": "float32", "matmul_precision": "high"}, True),
        ({"dtype": "float32", "tf32": False}, False),
        ({"dtype": "auto"}, True),
        ({}, True),
        ({"dtype": "bfloat16"}, True),
    ],
)
def test_float32_goes_without_tf32(settings, tf32):
    """Unless that is named as well."""
    with RealProvider(fake_spec(**SPEC), isolation="never", **settings) as tts:
        tts.load()
    assert SEEN[-1].tf32 is tf32


@pytest.mark.parametrize(
    ("dtype", "features", "slow"),
    [
        ("float16", {"avx2"}, True),
        ("float16", {"avx512_fp16"}, False),
        ("bfloat16", {"avx2", "avx512_fp16"}, True),
        ("bfloat16", {"amx_bf16"}, False),
        ("float32", set(), False),
        ("auto", set(), False),
        ("float16", {"asimdhp"}, False),
    ],
)
def test_half_precision_that_the_cpu_is_slow_at_is_warned_of(monkeypatch, caplog, dtype, features, slow):
    """With what is faster."""
    monkeypatch.setattr(hardware, "cpu_features", lambda: frozenset(features))
    spec = fake_spec(**{**SPEC, "torch": True})
    tts = RealProvider(spec, isolation="never", device="cpu", dtype=dtype)
    with caplog.at_level(logging.WARNING, "realtts"):
        for proposal in tts._ladder._proposals.all():
            tts._ladder._proposals.rung(proposal)
    assert any("float32 is faster" in record.getMessage() for record in caplog.records) is slow
    tts.close()


class Proposing(Watching):
    """A variant that proposes a rung of the test's, and then one that changes nothing."""

    changes = None

    @hookimpl
    def rungs(self, context):
        """Propose both."""
        return (Rung("wished", self.changes), Rung("own"))


def loaded(changes, **settings):
    """The rung that was loaded of a variant that wishes for these changes, and the attempts."""
    Proposing.changes = changes
    spec = fake_spec(**{**SPEC, "optimized": f"{__name__}:Proposing"})
    with RealProvider(spec, isolation="never", **settings) as tts:
        tts.load()
        status = tts.get_provider_status()
        return status["rung"], [attempt["message"] for attempt in status["attempts"]]


@pytest.mark.parametrize(
    ("settings", "changes", "promise"),
    [
        ({"dtype": "float32"}, {"dtype": "bfloat16"}, "dtype='float32'"),
        ({"dtype": "fp32"}, {"dtype": "half"}, "dtype='float32'"),
        ({"dtype": "float32"}, {"dtype": "auto"}, "dtype='float32'"),
        ({"dtype": "float32"}, {"quantization": "int8"}, "dtype='float32'"),
        ({"dtype": "float32", "quantization": "auto"}, {"quantization": "int4"}, "dtype='float32'"),
        ({"dtype": "float32", "precision_policy": "fast"}, {"quantization": "int8"}, "dtype='float32'"),
        ({"dtype": "float32"}, {"tf32": True}, "dtype='float32'"),
        ({"dtype": "float32"}, {"matmul_precision": "medium"}, "dtype='float32'"),
        ({"dtype": "bfloat16"}, {"quantization": "int8"}, "dtype='bfloat16'"),
        ({"dtype": "bfloat16"}, {"dtype": "float16"}, "dtype='bfloat16'"),
        ({"quantization": "none"}, {"quantization": "int8"}, "quantization='none'"),
        ({"quantization": "int8"}, {"quantization": "int4"}, "quantization='int8'"),
        ({"precision_policy": "exact"}, {"precision_policy": "fast"}, "precision_policy='exact'"),
        (
            {"precision_policy": "exact"},
            {"precision_policy": "balanced", "dtype": "bfloat16"},
            "precision_policy='exact'",
        ),
    ],
)
def test_no_rung_is_less_exact_than_what_is_named(settings, changes, promise):
    """Whatever a plugin proposes: the rung is passed over, its record says why, and the next one speaks."""
    rung, (message,) = loaded(changes, **settings)
    assert rung == "own"
    assert promise in message


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({}, {"dtype": "bfloat16", "quantization": "int8"}),
        ({"precision_policy": "fast"}, {"quantization": "int4"}),
        ({"dtype": "bfloat16"}, {"dtype": "float32"}),
        ({"dtype": "float16"}, {"dtype": "fp32", "quantization": "none"}),
        ({"quantization": "int4"}, {"quantization": "int8"}),
        ({"quantization": "int8"}, {"quantization": "none", "dtype": "bfloat16"}),
        ({"dtype": "float32", "quantization": "int8"}, {"quantization": "int8"}),
        ({"dtype": "float32", "tf32": True}, {"tf32": True, "matmul_precision": "medium"}),
        ({"precision_policy": "exact"}, {"precision_policy": "exact", "compile": False}),
        ({"dtype": "auto", "quantization": "auto"}, {"dtype": "float16", "quantization": "int4"}),
    ],
)
def test_a_rung_may_do_what_nobody_has_forbidden(settings, changes):
    """And be more exact than what is named."""
    assert loaded(changes, **settings) == ("wished", [])


@pytest.mark.parametrize(
    "changes",
    [{5: 1}, {"dtype": object()}, {"dtype": ["float32"]}, {"precision_policy": "best"}, {"threads": 10**5000}],
)
def test_wishes_that_are_none_are_the_plugins_fault(changes):
    """Told before anything is loaded."""
    with pytest.raises(InvalidPlugin, match="wished"):
        loaded(changes)
