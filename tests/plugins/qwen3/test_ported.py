"""Without qwen-tts the plain variant speaks by our own networks, and draws the same frames."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from realtts.contract.stages import Cancelled
from realtts.contract.types import Voice
from realtts.errors import MissingExtra
from realtts_qwen3 import plain as plain_module
from realtts_qwen3.frontend import prepare, utterance_of
from realtts_qwen3.options import Qwen3Options
from realtts_qwen3.upstream import why_not
from realtts_qwen3.voices import VoicePrompt

TEXT = "hello there, this is the test."
GREEDY = {"do_sample": False, "subtalker_dosample": False}
CASES = [
    pytest.param("0.6b-custom-voice", {}, marks=pytest.mark.full, id="0.6b-custom-voice-drawn"),
    pytest.param("1.7b-voice-design", GREEDY, id="1.7b-voice-design-greedy"),
    pytest.param("0.6b-base", {}, id="0.6b-base-drawn"),
    pytest.param("1.7b-base", {}, marks=pytest.mark.full, id="1.7b-base-drawn"),
]


def spoken(weights, prompt=None, *, forced=None, voice=None, **options):
    """A request as the networks take it."""
    context = SimpleNamespace(forced_tokens=lambda _: forced)
    request = SimpleNamespace(text=TEXT, language="en", voice=voice, seed=7, options=Qwen3Options(**options))
    return utterance_of(prepare(context, weights, request), prompt)


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
@pytest.mark.parametrize(("model", "options"), CASES)
def test_frames_and_sound_are_upstreams(weights_of, networks_of, ported_of, recording, *, model, options) -> None:
    """The same frames for the same seed, and sound within 1e-4; a recording becomes the same codes."""
    weights, theirs, ours = weights_of(model), networks_of(model), ported_of(model)
    prompt, voice = None, None
    if "base" in model:
        voice = Voice(*recording, "hello the" if model == "0.6b-base" else None)
        prompt = VoicePrompt(theirs.embedding(recording[0]), theirs.codes(recording[0]))
        assert torch.equal(ours.codes(recording[0]), prompt.codes)
        assert torch.allclose(ours.embedding(recording[0]), prompt.embedding, rtol=1e-4, atol=1e-5)
    utterance = spoken(weights, prompt, voice=voice, max_new_tokens=8, **options)
    expected, ended = theirs.draw(utterance, lambda: False)
    codes, stopped = ours.draw(utterance, lambda: False)
    assert torch.equal(codes, expected)
    assert stopped == ended
    before = utterance.codes
    assert np.abs(ours.samples(codes, before) - theirs.samples(expected, before)).max() < 1e-4


def test_cancelling(weights_of, ported_of) -> None:
    """At the next frame."""
    utterance = spoken(weights_of("0.6b-custom-voice"), forced=50)
    with pytest.raises(Cancelled):
        ported_of("0.6b-custom-voice").draw(utterance, lambda: True)


def test_it_speaks_and_the_status_says_why(plain, recording, monkeypatch) -> None:
    """Through the provider, in a clone of a recording."""
    monkeypatch.setattr(plain_module, "why_not", lambda: "qwen_tts is not installed")
    provider = plain("0.6b-base", force_tokens_per_char=0.5)
    speech = provider.generate(TEXT, voice=recording, reference_text="hello the", seed=1)
    assert len(speech.samples) == 15 * 1920
    assert "qwen_tts is not installed" in str(provider.get_provider_status())


def test_what_upstream_lacks_is_told_before_a_download(monkeypatch) -> None:
    """Its package is there, and cannot be imported: no file is asked for."""
    monkeypatch.setattr(plain_module, "why_not", lambda: None)
    monkeypatch.setattr(plain_module, "fetch", lambda *_: pytest.fail("something was fetched"))
    monkeypatch.setitem(sys.modules, "qwen_tts.core.models.modeling_qwen3_tts", None)
    with pytest.raises(MissingExtra, match="cannot be imported"):
        plain_module.Plain().load(SimpleNamespace(checkpoint=None, report=None))
