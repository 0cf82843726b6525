"""From a request to sentences, sampling parameters and limits; what a model cannot do is refused or told."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from realtts.contract.types import Voice
from realtts.errors import InvalidOption, UnspeakableText, VoiceNotFound, VoiceUnsuitable
from realtts.testing import make_context, make_request
from realtts_vieneu.configurations import CONFIGURATIONS
from realtts_vieneu.frontend import prepare, utterances_of
from realtts_vieneu.options import VieNeuOptions
from realtts_vieneu.text import words_of

LONG = "Hôm nay trời đẹp. Chúng tôi đi chơi công viên. " * 12


def ask_of(weights, text="Xin chào các bạn.", *, forced=None, voice=None, seed=1, **options):
    """A request in the model's terms."""
    rate = None if forced is None else forced / len(text)
    request = make_request(text, voice=voice, seed=seed, options=VieNeuOptions(**options))
    return prepare(make_context(force_tokens_per_char=rate), weights, request)


def recorded(text="Những từ được nói."):
    """A recording."""
    return Voice(np.ones(24_000, np.float32), 24_000, text)


def test_defaults_are_upstreams(weights_of) -> None:
    """Sampling, the least number of tokens, the pause between sentences, and the form of the named configuration."""
    ask = ask_of(weights_of("v2"))
    assert (ask.params.temperature, ask.params.top_k, ask.params.greedy) == (1.0, 50, False)
    assert (ask.form, ask.emotion, ask.silence, ask.forced) == ("tags", "natural", 0.15, False)
    assert utterances_of(weights_of("v2"), ask, ask.codes)[0].least == 50
    assert ask_of(weights_of("v1")).form == "chat"
    assert ask_of(replace(weights_of("v2"), configuration=CONFIGURATIONS["0.3b"])).form == "tags"
    assert not ask.warnings


def test_what_is_given_wins(weights_of) -> None:
    """Zero and false are values."""
    ask = ask_of(weights_of("v2"), temperature=0.5, top_k=0, do_sample=False, silence=0.0, prompt_format="chat")
    assert (ask.params.temperature, ask.params.top_k, ask.params.greedy) == (0.5, 0, True)
    assert (ask.silence, ask.form) == (0.0, "chat")


def test_without_a_name_the_format_must_be_said(weights_of) -> None:
    """The tensors and the tokens do not tell, and the folder's name is no evidence."""
    nameless = replace(weights_of("v1"), configuration=None)
    with pytest.raises(InvalidOption, match=r"realtts\.json"):
        ask_of(nameless)
    assert ask_of(nameless, prompt_format="chat").form == "chat"


def test_voices(weights_of, tmp_path) -> None:
    """The default preset, one by name, saved codes, and a recording."""
    weights = weights_of("v2")
    default, lan = ask_of(weights), ask_of(weights, voice="Lan")
    assert default.codes == weights.presets.voices["Minh"].codes
    assert lan.codes == weights.presets.voices["Lan"].codes
    assert lan.words == words_of(weights.presets.voices["Lan"].words)
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps({"presets": {"Mới": {"codes": [7, 8], "text": "Xin chào."}}}), encoding="utf-8")
    for chosen in ({}, {"saved_voice": "Mới"}):
        assert ask_of(weights, voices_file=str(saved), **chosen).codes == (7, 8)
    with pytest.raises(VoiceNotFound, match="Mới"):
        ask_of(weights, voices_file=str(saved), saved_voice="Lan")
    with pytest.raises(InvalidOption, match="one of the two"):
        ask_of(weights, voices_file=str(saved), voice="Lan")
    with pytest.raises(InvalidOption, match="voices_file"):
        ask_of(weights, saved_voice="Mới")
    cloned = ask_of(weights, voice=recorded())
    assert (cloned.codes, cloned.words) == ((), words_of("Những từ được nói."))
    assert cloned.voice is not None
    with pytest.raises(VoiceNotFound, match="Minh"):
        ask_of(weights, voice="nobody")


def test_options_of_another_model_are_refused(weights_of) -> None:
    """v3 Turbo's, which would have no effect."""
    for option in ({"top_p": 0.9}, {"repetition_penalty": 1.2}, {"denoise": True}):
        with pytest.raises(InvalidOption, match="v3"):
            ask_of(weights_of("v2"), **option)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has such a device")
def test_a_device_that_is_not_there_is_refused(weights_of) -> None:
    """Before any work; one that is there is kept by its whole name."""
    with pytest.raises(InvalidOption, match="codec_device"):
        ask_of(weights_of("v2"), codec_device="cuda:1")
    assert ask_of(weights_of("v2"), codec_device="cpu").codec_device == "cpu"


@pytest.mark.parametrize(
    ("wrong", "error"), [({"codec_device": "cuda:99"}, InvalidOption), ({"voice": "Nobody"}, VoiceNotFound)], ids=str
)
def test_what_cannot_be_is_refused_before_the_text_is_read(weights_of, wrong, error) -> None:
    """A text without sound shows it: that fault would be found first."""
    with pytest.raises(error):
        ask_of(weights_of("v2"), "你好", **wrong)


def test_an_emotion_without_effect_is_told(weights_of) -> None:
    """v1 learned none."""
    assert "emotion" in ask_of(weights_of("v1"), emotion="storytelling").warnings[0]
    assert not ask_of(weights_of("v2"), emotion="storytelling").warnings


def test_what_is_not_read_is_told(weights_of) -> None:
    """And a text of nothing else is refused."""
    assert [each.span for each in ask_of(weights_of("v2"), "Xin chào 你好 bạn.").unread] == [(9, 10), (10, 11)]
    with pytest.raises(UnspeakableText):
        ask_of(weights_of("v2"), "你好")


def test_what_the_checkpoint_asks_for_is_heeded(weights_of) -> None:
    """Beside what upstream or the caller says; and nothing has to be told."""
    weights = weights_of("v2")
    ask = ask_of(replace(weights, drawing=replace(weights.drawing, top_p=0.9, repetition_penalty=1.2)), top_k=7)
    assert (ask.params.top_p, ask.params.repetition_penalty, ask.params.top_k) == (0.9, 1.2, 7)
    assert not ask.warnings


def test_sentences_have_limits_and_seeds_of_their_own(weights_of) -> None:
    """A cap in proportion to the phonemes; the first sentence has the request's seed."""
    weights = weights_of("v2")
    ask = ask_of(weights, LONG, seed=11)
    assert len(ask.sentences) == len(ask.limits) == len(ask.seeds) > 1
    assert ask.seeds[0] == 11
    assert len(set(ask.seeds)) == len(ask.seeds)
    short, long = ask_of(weights, "Chào."), ask_of(weights, "Chào các bạn thân mến của tôi, hôm nay trời đẹp.")
    assert 100 < short.limits[0] < long.limits[0] < 2048
    assert ask_of(weights, LONG, max_new_tokens=60).limits == (60,) * len(ask.limits)


@pytest.mark.parametrize("forced", [1, 7, 100, 1001])
def test_a_benchmarks_number_is_shared(weights_of, forced) -> None:
    """Among the sentences by their lengths, at least one each, all together as many as asked for."""
    ask = ask_of(weights_of("v2"), LONG, forced=forced)
    assert ask.forced
    assert min(ask.limits) >= 1
    assert sum(ask.limits) == max(forced, len(ask.limits)) or forced < 20


def test_utterances_share_what_their_prompts_begin_with(weights_of) -> None:
    """Wrapper, emotion and the recording's words, by tokens; of any number of sentences and of any text."""
    for model in ("v1", "v2"):
        weights = weights_of(model)
        ask = ask_of(weights, LONG)
        found = utterances_of(weights, ask, ask.codes)
        prefix = found[0].prefix
        assert prefix > 10
        assert len({utterance.ids[:prefix] for utterance in found}) == 1
        assert {utterance.prefix for utterance in found} == {prefix}
        assert utterances_of(weights, ask_of(weights), (1, 2))[0].ids[:prefix] == found[0].ids[:prefix]


def test_utterances_fit_the_context(weights_of) -> None:
    """Prompt and speech together, whatever the caps say."""
    weights = weights_of("v2")
    ask = ask_of(weights, max_new_tokens=2047)
    (utterance,) = utterances_of(weights, ask, range(1500))
    assert len(utterance.ids) + utterance.most == weights.sizes.context == 2048
    (short,) = utterances_of(weights, ask_of(weights, max_new_tokens=3), (1,))
    assert (short.most, short.least) == (3, 3)


def test_a_reference_without_sound_is_refused(weights_of) -> None:
    """Whose codes would be taken for silence."""
    with pytest.raises(VoiceUnsuitable, match="你好"):
        ask_of(weights_of("v2"), voice=recorded("你好"))


def test_a_recording_that_leaves_no_room_is_refused(weights_of) -> None:
    """Upstream's ``generate`` raises an error of its own."""
    weights = weights_of("v2")
    with pytest.raises(VoiceUnsuitable, match="2048"):
        utterances_of(weights, ask_of(weights), range(2000))
    with pytest.raises(VoiceUnsuitable, match="smaller max_chars"):
        utterances_of(weights, ask_of(weights, LONG), range(1400))
    assert utterances_of(weights, ask_of(weights, LONG, max_chars=60), range(1400))


def test_every_end_of_a_range_is_taken(weights_of, option_ends) -> None:
    """What the options allow is not refused behind the load."""
    weights = weights_of("v2")
    for option in option_ends(VieNeuOptions):
        if not {"top_p", "repetition_penalty"} & set(option):  # of v3 alone
            ask_of(weights, **option)
