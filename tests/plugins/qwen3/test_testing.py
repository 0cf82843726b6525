"""What `realtts verify` asks: frames, logits and decisions, of upstream's networks and of ours."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from realtts.contract.types import Voice
from realtts.contract.voice_cache import VoiceCache
from realtts_qwen3 import testing
from realtts_qwen3.options import Qwen3Options
from realtts_qwen3.plain import PlainModel

TEXT = "hello there, this is the test."


@pytest.mark.parametrize("model", ["0.6b-custom-voice", pytest.param("1.7b-base", marks=pytest.mark.full)])
def test_what_verify_asks_is_upstreams(weights_of, networks_of, ported_of, recording, model) -> None:
    """Frames, the logits along them, and what their decisions were worth: of upstream's networks and of ours."""
    weights = weights_of(model)
    checkpoint = SimpleNamespace(path=model, source="", revision=None)
    context = SimpleNamespace(
        forced_tokens=lambda _: 5, device="cpu", checkpoint=checkpoint, voice_cache=VoiceCache()
    )  # fmt: skip
    voice = Voice(*recording, "hello the") if "base" in model else None
    request = SimpleNamespace(
        text=TEXT, language="en", voice=voice, seed=7, options=Qwen3Options(), cancelled=lambda: False
    )
    theirs, ours = (PlainModel(weights, networks(model)) for networks in (networks_of, ported_of))
    codes = testing.tokens(context, theirs, request)
    assert codes.shape == (5, 16)
    assert np.array_equal(testing.tokens(context, ours, request), codes)
    expected = testing.teacher_forced(context, theirs, request, codes)
    assert expected.shape == (5, 3072 + 15 * 2048)
    logits = testing.teacher_forced(context, ours, request, codes)
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()
    for step in (0, 16, 40, 79):
        for subject in (theirs, ours):
            assert testing.scores(context, subject, request, codes, step).argmax() == codes.flat[step]
