"""Int8 weights and activations under the fast policy: near float32, row for row, and given up with a reason."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("f5_tts")

import numpy as np

from realtts.accel.kernels import rows
from realtts.accel.kernels.rows import why_no_rows

TEXT = "Hello there, my dear friend."
needs_kernels = pytest.mark.skipif(why_no_rows() is not None, reason=str(why_no_rows()))


@pytest.fixture
def say(recording):
    """What every test says, by two seconds of the recording, in few steps."""
    samples, rate = recording
    words = "These are the words."
    return {"voice": (samples[: 2 * rate], rate), "reference_text": words, "seed": 5, "nfe_step": 4}


def test_what_is_missing_is_told(make, say, monkeypatch):
    """And the usual rung speaks, as it does without the policy."""
    monkeypatch.setattr(rows.native, "why_unusable", lambda: "realtts-native is not installed: pip install it")
    tts = make(precision_policy="fast", force_tokens_per_char=1.0)
    speech = tts.generate(TEXT, **say)
    status = tts.get_provider_status()
    assert [(each["rung"], each["stage"]) for each in status["attempts"]] == [("w8a8", "probe")]
    assert "realtts-native is not installed" in status["attempts"][0]["message"]
    assert status["optimization_details"]["quantization"] == "none"
    assert status["optimization_details"]["attention"] == "own"
    balanced = make(force_tokens_per_char=1.0).generate(TEXT, **say)
    assert np.array_equal(speech.samples, balanced.samples)


@needs_kernels
def test_the_fast_policy_speaks(make, say):
    """Near float32's sound, which requests without half precision get exactly."""
    tts = make(precision_policy="fast", force_tokens_per_char=1.0, strict=True)
    speech = tts.generate(TEXT, **say)
    status = tts.get_provider_status()
    details = status["optimization_details"]
    assert (status["rung"], status["attempts"]) == ("w8a8", [])
    assert (details["quantization"], details["dtype"], details["attention"]) == ("w8a8", "float32", "native-rounded")
    exact = tts.generate(TEXT, **say, use_fp16=False)
    assert tts.get_provider_status()["optimization_details"]["quantization"] == "none"
    expected = make(dtype="float32", force_tokens_per_char=1.0).generate(TEXT, **say)
    assert np.array_equal(exact.samples, expected.samples)
    difference = np.linalg.norm(speech.samples - expected.samples) / np.linalg.norm(expected.samples)
    assert 0 < difference < 0.3, "a waveform moves further than its spectrogram"


@pytest.mark.parametrize("named", [{"dtype": "float32"}, {"quantization": "none"}, {"native": False}])
def test_what_is_named_wins_over_the_policy(make, named):
    """No rung of the kind is tried."""
    tts = make(precision_policy="fast", **named)
    tts.load()
    status = tts.get_provider_status()
    assert (status["rung"] == "w8a8", status["attempts"]) == (False, [])
