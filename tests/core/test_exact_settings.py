"""Float32 that a user names is float32 everywhere, and half precision that a CPU is slow at is warned of."""

import logging

import pytest

from realtts import RealProvider
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
