"""From a request to ids, sampling parameters and limits; what a kind of model cannot do is refused or told."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from realtts.contract.types import Voice
from realtts.errors import InvalidOption, UnknownLanguage, VoiceNotFound, VoiceUnsupported
from realtts_qwen3.frontend import prepare
from realtts_qwen3.options import Qwen3Options

SPEAKERS = ("serena", "vivian", "uncle_fu", "ryan", "aiden", "ono_anna", "sohee", "eric", "dylan")


def ask_of(weights, text="Hello there.", *, forced=None, language=None, voice=None, **options):
    """A request in the model's terms."""
    context = SimpleNamespace(forced_tokens=lambda _: forced)
    request = SimpleNamespace(text=text, language=language, voice=voice, seed=1, options=Qwen3Options(**options))
    return prepare(context, weights, request)


def recorded(text=None):
    """A recording."""
    return Voice(np.ones(24_000, np.float32), 24_000, text)


def test_defaults_are_upstreams(weights_of) -> None:
    """Sampling as `generation_config.json` has it, the whole text first, and the end not before the second frame."""
    ask = ask_of(weights_of("0.6b-custom-voice"))
    talker, predictor = ask.talker, ask.predictor
    assert (talker.temperature, talker.top_k, talker.top_p, talker.repetition_penalty) == (0.9, 50, 1.0, 1.05)
    assert (predictor.temperature, predictor.top_k, predictor.top_p) == (0.9, 50, 1.0)
    assert (talker.greedy, predictor.greedy, talker.min_new_tokens) == (False, False, 2)
    assert ask.non_streaming
    assert not ask.warnings


def test_what_is_given_wins(weights_of) -> None:
    """Over the checkpoint's defaults, for both networks; zero and false are values."""
    ask = ask_of(
        weights_of("0.6b-custom-voice"), do_sample=False, temperature=0.5, top_k=0, top_p=0.7, repetition_penalty=1.0,
        subtalker_dosample=False, subtalker_temperature=0.4, subtalker_top_k=0, subtalker_top_p=0.6,
        non_streaming_mode=False,
    )  # fmt: skip
    talker, predictor = ask.talker, ask.predictor
    assert (talker.greedy, talker.temperature, talker.top_k, talker.top_p) == (True, 0.5, 0, 0.7)
    assert talker.repetition_penalty == 1.0
    assert (predictor.greedy, predictor.temperature, predictor.top_k, predictor.top_p) == (True, 0.4, 0, 0.6)
    assert not ask.non_streaming


@pytest.mark.parametrize("arguments", [{"voice": "ryan"}, {"speaker": "Ryan"}, {"voice": "ryan", "speaker": "RYAN"}])
def test_speakers_by_name(weights_of, arguments) -> None:
    """As `voice=` or `speaker=`, in any case."""
    weights = weights_of("0.6b-custom-voice")
    assert tuple(weights.sizes.speakers) == SPEAKERS
    assert ask_of(weights, **arguments).speaker == weights.sizes.speakers["ryan"]


def test_without_a_name_the_first_speaks(weights_of) -> None:
    """Of the checkpoint's speakers."""
    weights = weights_of("1.7b-custom-voice")
    assert ask_of(weights).speaker == weights.sizes.speakers["serena"]


def test_wrong_speakers_are_refused(weights_of) -> None:
    """Unknown ones with the closest name; two that differ."""
    weights = weights_of("0.6b-custom-voice")
    with pytest.raises(VoiceNotFound, match="vivian"):
        ask_of(weights, speaker="vivien")
    with pytest.raises(InvalidOption, match="one of the two"):
        ask_of(weights, speaker="ryan", voice="eric")


@pytest.mark.parametrize("model", ["0.6b-base", "1.7b-voice-design"])
def test_speakers_need_a_model_that_has_them(weights_of, model) -> None:
    """The error says which."""
    with pytest.raises(InvalidOption, match="custom-voice"):
        ask_of(weights_of(model), speaker="ryan", voice=recorded() if "base" in model else None)


def test_cloning_with_and_without_words(weights_of) -> None:
    """With the recording's words they are read, without, or if the option says so, the embedding alone is used."""
    weights = weights_of("0.6b-base")
    ask = ask_of(weights, voice=recorded("hello the"))
    assert ask.reference == weights.reader.ids("hello the")
    assert not ask.non_streaming  # upstream's default of this call
    assert ask_of(weights, voice=recorded()).reference == ()
    assert ask_of(weights, voice=recorded(" ")).reference == ()
    assert ask_of(weights, voice=recorded("hello the"), x_vector_only_mode=True).reference == ()
    assert ask_of(weights, voice=recorded("hello"), non_streaming_mode=True).non_streaming


def test_recordings_need_a_model_that_clones(weights_of) -> None:
    """And a model that clones needs one; each error names the other model."""
    for model in ("0.6b-custom-voice", "1.7b-voice-design"):
        with pytest.raises(VoiceUnsupported, match="base"):
            ask_of(weights_of(model), voice=recorded())
    with pytest.raises(VoiceUnsupported, match="custom-voice"):
        ask_of(weights_of("1.7b-base"))


@pytest.mark.parametrize("model", ["1.7b-custom-voice", "1.7b-voice-design"])
def test_instructions_are_heeded(weights_of, model) -> None:
    """By the models that learned to."""
    weights = weights_of(model)
    ask = ask_of(weights, instruct="Sadly.")
    assert ask.instruct == weights.reader.instruction("Sadly.")
    assert not ask.warnings
    assert ask_of(weights).instruct == ()


@pytest.mark.parametrize("model", ["0.6b-custom-voice", "1.7b-base"])
def test_instructions_that_are_not_heeded_are_told(weights_of, model) -> None:
    """Upstream drops them without a word."""
    ask = ask_of(weights_of(model), instruct="Sadly.", voice=recorded() if "base" in model else None)
    assert ask.instruct == ()
    (warning,) = ask.warnings
    assert "instruct" in warning


def test_languages(weights_of) -> None:
    """By tag; without one the model finds it out; dialects where the checkpoint lists them."""
    weights = weights_of("0.6b-custom-voice")
    ids = weights.sizes.languages
    assert ask_of(weights).language is None
    assert ask_of(weights, language="en").language == ids["english"]
    assert ask_of(weights, language="zh").language == ids["chinese"]
    assert ask_of(weights, language="zh-x-sichuan").language == ids["sichuan_dialect"]
    with pytest.raises(UnknownLanguage, match="beijing_dialect"):
        ask_of(weights_of("0.6b-base"), language="zh-x-beijing", voice=recorded())


def test_speakers_of_dialects(weights_of) -> None:
    """Eric and Dylan speak theirs where Chinese, or nothing, was asked for."""
    weights = weights_of("1.7b-custom-voice")
    ids = weights.sizes.languages
    for language in (None, "zh"):
        assert ask_of(weights, speaker="eric", language=language).language == ids["sichuan_dialect"]
        assert ask_of(weights, speaker="dylan", language=language).language == ids["beijing_dialect"]
    assert ask_of(weights, speaker="eric", language="en").language == ids["english"]
    assert ask_of(weights, speaker="eric", language="zh-x-beijing").language == ids["beijing_dialect"]


def test_limits(weights_of) -> None:
    """A cap in proportion to the text; a benchmark's number of frames; a user's number counts as upstream's."""
    weights = weights_of("0.6b-custom-voice")
    short, long = ask_of(weights, "Hello."), ask_of(weights, "Hello. " * 20)
    assert 0 < short.max_frames < long.max_frames < 8191
    assert ask_of(weights, "a" * 100, language="ko").max_frames > ask_of(weights, "a" * 100).max_frames
    assert ask_of(weights, "\u4f60" * 100).max_frames > ask_of(weights, "a" * 100).max_frames
    assert (ask_of(weights, forced=7).max_frames, ask_of(weights, forced=7).forced) == (7, True)
    assert ask_of(weights, max_new_tokens=10).max_frames == 9
    assert not ask_of(weights, max_new_tokens=10).forced


def test_every_end_of_a_range_is_taken(weights_of, option_ends) -> None:
    """What the options allow is not refused behind the load."""
    weights = weights_of("0.6b-custom-voice")
    for option in option_ends(Qwen3Options):
        ask_of(weights, **option)
