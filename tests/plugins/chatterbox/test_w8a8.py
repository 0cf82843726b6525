"""A flow with int8 weights and activations under the fast policy: near float32, and given up with a reason."""

from __future__ import annotations

import pytest
import torch
from test_flow import LENGTHS, request_of

from realtts.accel.kernels import rows
from realtts.accel.kernels.rows import why_no_rows
from realtts_chatterbox.flow import Flow

CPU = torch.device("cpu")
TEXT = "Hello there, my dear friend."
FEW = {"watermark": False, "n_cfm_timesteps": 2}
needs_kernels = pytest.mark.skipif(why_no_rows() is not None, reason=str(why_no_rows()))


def flow_of(networks_of, kind, **how):
    """The optimized variant's flow, converted."""
    state, meanflow = networks_of(kind).s3gen.flow.state_dict(), kind == "turbo"
    flow = Flow(state, CPU, meanflow=meanflow)
    flow.convert(state, torch.float32, **how)
    return flow


def error_of(mels, expected):
    """The largest relative error."""
    return max(float((mel - right).norm() / right.norm()) for mel, right in zip(mels, expected, strict=True))


@needs_kernels
@pytest.mark.parametrize("kind", ["english", "turbo"])
def test_mel_is_near_that_of_float32(networks_of, kind):
    """Within 5 % after the default steps, each request as if it were alone, beside others of other lengths."""
    requests = [request_of(*lengths, seed) for seed, lengths in enumerate(LENGTHS)]
    exact = flow_of(networks_of, kind)
    rounded = flow_of(networks_of, kind, rounded=True, attention="native-rounded")
    expected, mels = (flow.mel(*zip(*requests, strict=True)) for flow in (exact, rounded))
    assert error_of(mels, expected) < 0.05
    for request, mel in zip(requests, mels, strict=True):
        (alone,) = rounded.mel(*([part] for part in request))
        torch.testing.assert_close(mel, alone, atol=1e-4, rtol=0)


@needs_kernels
@pytest.mark.parametrize("kind", ["english", "turbo"])
def test_native_attention_keeps_float32(networks_of, kind):
    """In integers it is nearer than bfloat16."""
    requests = [request_of(*lengths, seed) for seed, lengths in enumerate(LENGTHS)]
    expected = flow_of(networks_of, kind).mel(*zip(*requests, strict=True))
    for attention, bound in {"native": 1e-5, "native-rounded": 3e-3}.items():
        mels = flow_of(networks_of, kind, attention=attention).mel(*zip(*requests, strict=True))
        assert error_of(mels, expected) < bound


@needs_kernels
def test_its_cost_is_that_of_int8(networks_of):
    """As many operations, a quarter of the bytes."""
    exact, rounded = flow_of(networks_of, "english"), flow_of(networks_of, "english", rounded=True)
    assert rounded.estimator.flops(100, 2) == exact.estimator.flops(100, 2)
    assert rounded.bytes_read(1) * 4 == exact.bytes_read(1)


def test_what_is_missing_is_told(make, monkeypatch):
    """Of every rung that wanted it, and one without it speaks."""
    monkeypatch.setattr(rows.native, "why_unusable", lambda: "realtts-native is not installed: pip install it")
    tts = make(precision_policy="fast")
    tts.generate(TEXT, seed=5, **FEW)
    status = tts.get_provider_status()
    given_up = {each["rung"]: each["message"] for each in status["attempts"] if each["rung"].endswith("+w8a8")}
    assert given_up
    assert all("realtts-native is not installed" in message for message in given_up.values())
    assert "w8a8" not in status["rung"]
    assert status["optimization_details"]["flow_dtype"] != "int8"


@needs_kernels
def test_the_fast_policy_speaks(make):
    """With what the status says."""
    tts = make(precision_policy="fast")
    speech = tts.generate(TEXT, seed=5, **FEW)
    status = tts.get_provider_status()
    details = status["optimization_details"]
    assert status["rung"].endswith("+w8a8")
    assert (details["flow_dtype"], details["attention"]) == ("int8", "native-rounded")
    assert len(speech.samples)
