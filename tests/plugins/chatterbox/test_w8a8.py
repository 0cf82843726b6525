"""A flow with int8 weights and activations under the fast policy: near float32, and given up with a reason."""

from __future__ import annotations

import pytest

from realtts.accel.kernels import rows
from realtts.accel.kernels.rows import why_no_rows

TEXT = "Hello there, my dear friend."
FEW = {"watermark": False, "n_cfm_timesteps": 2}
needs_kernels = pytest.mark.skipif(why_no_rows() is not None, reason=str(why_no_rows()))


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
