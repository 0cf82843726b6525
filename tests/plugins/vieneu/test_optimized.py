"""The optimized variant: plain's tokens and sound in float32, whole, batched and streamed; faults, voices, memory."""

from __future__ import annotations

import numpy as np
import pytest

from realtts import RealProvider
from realtts.errors import CheckpointCorrupt, MissingExtra
from realtts.testing.device import live_tensors
from realtts_vieneu import spec

SENTENCE = "Xin chào các bạn."
TEXT = "Xin chào các bạn. Hôm nay trời nắng đẹp! Chúng ta cùng đi dạo nhé?"
EXACT = {"dtype": "float32", "quantization": "none"}
APART = {"max_chars": 30}
WHOLE = {"chunk_frames": 500, "lookback": 1000, "look_ahead": 500}
FRAME = 480


@pytest.mark.parametrize("model", [pytest.param("v1", marks=pytest.mark.full), "v2"])  # by default: v1 in test_network
def test_float32_speaks_as_plain(make, recording, model):
    """Same seed, same tokens, the same sound: preset and cloned voices, one sentence and several."""
    cloned = {"seed": 6, "voice": recording, "reference_text": "Xin chào."}
    plain, optimized = make(model, optimize=False), make(model, **EXACT, strict=True)
    for text, told in ((TEXT, {"seed": 5}), (SENTENCE, cloned)):
        expected = plain.generate(text, **told, **APART)
        found = optimized.generate(text, **told, **APART)
        assert found.metrics.tokens == expected.metrics.tokens == len(text)
        assert len(found.samples) == len(expected.samples)
        assert np.abs(found.samples - expected.samples).max() < 1e-4
        assert np.abs(expected.samples).max() > 0.05


def test_unload_leaves_no_tensor(make):
    """Whoever still holds the provider."""
    tts = make(**EXACT)
    tts.load()
    tts.unload()  # the first load fills caches that stay
    before = live_tensors()
    tts.generate(SENTENCE, seed=1, **APART)
    assert live_tensors() != before
    tts.unload()
    assert live_tensors() == before


def test_sentences_are_apart(make):
    """A pause lies between two of them, as long as it was asked for."""
    tts = make(**EXACT)
    short, long = (tts.generate(TEXT, seed=5, silence=silence, **APART) for silence in (0.0, 0.5))
    assert len(long.samples) - len(short.samples) == 2 * 12_000
    assert len(short.samples) == FRAME * len(TEXT)


def test_a_stream_of_wide_windows_is_the_whole(make):
    """In order, with the pauses, however many sentences were drawn together."""
    tts = make(**EXACT, force_tokens_per_char=0.5)
    told = {"seed": 5, **APART, **WHOLE}
    text = TEXT * 2
    whole = tts.generate(text, **told)
    chunks = list(tts.stream(text, **told))
    assert len(chunks) > 4
    assert np.abs(np.concatenate([chunk.samples for chunk in chunks]) - whole.samples).max() < 1e-5
    assert sum(chunk.tokens for chunk in chunks) == whole.metrics.tokens


def test_a_stream_is_as_long_as_the_whole(make):
    """Its windows are narrower by default, so that it sounds a little otherwise; nothing is lost at their seams."""
    tts = make(**EXACT, force_tokens_per_char=6.0)
    whole = tts.generate(SENTENCE, seed=5)
    chunks = [len(chunk.samples) // FRAME for chunk in tts.stream(SENTENCE, seed=5)]
    assert chunks[:3] == [25, 25, 25]
    assert FRAME * sum(chunks) == len(whole.samples)


def test_the_first_chunk_comes_before_the_last_token(make):
    """A stream is one: sound while tokens are still drawn."""
    tts = make(**EXACT, force_tokens_per_char=40.0, stream_buffer=1)
    with tts.stream(SENTENCE, seed=5, chunk_frames=2, look_ahead=1) as stream:
        assert len(next(stream).samples) == 2 * FRAME


def test_requests_of_a_batch_are_as_alone(make):
    """Sentences of all are drawn together, and none depends on its neighbours; heads may differ."""
    tts = make(**EXACT)
    texts = [TEXT, "Trời ơi!", SENTENCE]
    for text, speech in zip(texts, tts.generate_batch(texts, seed=5, **APART), strict=True):
        alone = tts.generate(text, seed=speech.seed, **APART)
        assert np.abs(alone.samples - speech.samples).max() < 1e-5


@pytest.mark.full  # by default: test_continuous, whose requests have more than places
def test_more_sentences_than_are_drawn_together(make):
    """The rest waits, and all are heard in order."""
    tts = make(**EXACT, force_tokens_per_char=0.4)
    text = " ".join(f"Số {number} là số đẹp." for number in range(20))
    whole = tts.generate(text, seed=5, max_chars=20, silence=0.0)
    live = np.concatenate([chunk.samples for chunk in tts.stream(text, seed=5, max_chars=20, silence=0.0, **WHOLE)])
    assert np.abs(live - whole.samples).max() < 1e-5


def test_the_fastest_rung_is_quantized_and_draws_speech_alone(make):
    """What is chosen by itself on a machine with the instructions, here asked for; without a step down."""
    tts = make(quantization="int8", native=False)
    speech = tts.generate(SENTENCE, seed=5)
    status = tts.get_provider_status()
    assert (status["rung"], status["attempts"]) == ("int8", [])
    details = status["optimization_details"]
    assert (details["weights"], details["head"]) == ("int8", "speech")
    assert details["codec_dtype"] == details["dtype"]
    assert len(speech.samples) == FRAME * len(SENTENCE)
    assert speech.metrics.work["lm"].flops > 0
    assert speech.metrics.work["codec"].steps == len(SENTENCE)


def test_the_head_can_be_chosen(make):
    """By the option; float32 has the full one unless it is told otherwise."""
    tts = make(**EXACT, force_tokens_per_char=None)

    def head(**options):
        tts.generate(SENTENCE, seed=5, max_new_tokens=20, **options)
        return tts.get_provider_status()["optimization_details"]["head"]

    assert [head(), head(speech_only=True), head(speech_only=False)] == ["full", "speech", "full"]


def test_a_limit_ends_a_sentence(make):
    """And is told."""
    tts = make(**EXACT, force_tokens_per_char=None, retry_runaway=False)
    speech = tts.generate(SENTENCE, seed=5, max_new_tokens=7)
    assert speech.finish_reason == "length"
    assert speech.metrics.tokens <= 7


@pytest.mark.slow  # by default: test_line.test_the_sentence_alone_is_drawn_again; with `full`: test_twice_is_enough
def test_a_runaway_is_cut_and_spoken_again(make):
    """Random weights never end: every sentence stops at the limit of its phonemes, twice, and that is told."""
    tts = make(**EXACT, force_tokens_per_char=None)
    speech = tts.generate(TEXT, seed=5, **APART)
    assert speech.finish_reason == "length"
    assert any("cut" in warning for warning in speech.warnings)
    assert 3 * 100 < speech.metrics.tokens <= 3 * 100 + 5 * 120
    assert make(**EXACT, force_tokens_per_char=None, retry_runaway=False).generate(TEXT, seed=5, **APART).duration > 0


@pytest.mark.full  # by default: test_conformance.test_cancelled_stream_ends
def test_cancelling_a_stream_ends_it(make):
    """At the next token; the next request is as ever."""
    tts = make(**EXACT, force_tokens_per_char=12.0, stream_buffer=1)
    before = tts.generate("Chào.", seed=1).samples
    stream = tts.stream(SENTENCE, seed=5, chunk_frames=5, look_ahead=1)
    next(stream)
    tts.cancel()
    assert sum(len(chunk.samples) for chunk in stream) <= 20 * FRAME
    np.testing.assert_array_equal(tts.generate("Chào.", seed=1).samples, before)


def test_turbo_has_no_faster_path(tmp_path, monkeypatch):
    """And the attempts say so; without the package the plain path says what is missing."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path))
    (tmp_path / "realtts.json").write_text('{"configuration": "v3-turbo"}')
    with RealProvider(spec, model=tmp_path, device="cpu", strict=True) as tts, pytest.raises(Exception) as caught:
        tts.load()
    assert not isinstance(caught.value, MissingExtra)
    assert "onnxruntime" in str(caught.value)


@pytest.mark.parametrize(
    ("file", "weight"),
    [("model.safetensors", "model.norm.weight"), ("codec/model.safetensors", "decoder.head.linear.weight")],
)
def test_weights_that_are_nan_are_told(make, spoilt, file, weight):
    """In float32 the file is to blame, and not the precision; below it, another rung is tried first."""
    tts = make("v1", path=spoilt("v1", file, weight), **EXACT)
    with pytest.raises(CheckpointCorrupt, match=f"{file}.*in float32 too"):
        tts.load()
