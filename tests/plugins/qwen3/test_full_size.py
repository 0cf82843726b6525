"""Upstream's sizes: frames and sound are upstream's. Minutes for each model, and 8 GB of memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtts import RealProvider
from realtts_qwen3 import spec
from realtts_qwen3.testing import write_random_checkpoint
from realtts_qwen3.upstream import why_not

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

TEXTS = ("Hello there.", "This is the test of the day, is it?", "One, two, three, four, and then some more of it.")
WAYS = {
    "0.6b-custom-voice": {"voice": "ryan", "language": "en"},
    "0.6b-base": {"reference_text": "hello the"},
    "1.7b-voice-design": {"instruct": "A deep voice."},
}


@pytest.mark.parametrize("model", WAYS)
def test_frames_and_sound_are_upstreams(tmp_path, monkeypatch, recording, model):
    """In float32, three texts for each way to speak, drawn with the default options; a difference would be heard."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    folder = tmp_path / "model"
    folder.mkdir()
    write_random_checkpoint(folder, "full", model=model)
    common = {"model": folder, "device": "cpu", "force_tokens_per_char": 0.25, "strict": True}
    arguments = {**WAYS[model], **({"voice": recording} if "base" in model else {})}

    def spoken(used, **settings):
        with RealProvider(used, **common, **settings) as tts:
            speech = [tts.generate(text, seed=number, **arguments).samples for number, text in enumerate(TEXTS)]
            if used is spec:
                live = [chunk.samples for chunk in tts.stream(TEXTS[-1], seed=len(TEXTS) - 1, **arguments)]
                assert np.abs(np.concatenate(live) - speech[-1]).max() < 1e-5
            return speech

    expected = spoken(replace(spec, optimized=None))
    for samples, reference in zip(spoken(spec, dtype="float32", quantization="none"), expected, strict=True):
        assert len(samples) == len(reference)
        assert np.abs(samples - reference).max() < 1e-4
