"""The optimized variant against the plain one: the same sound, batches, streams, precisions, fallbacks."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from realtts import Chunk, RealProvider
from realtts.bench.subject import Subject
from realtts.contract.types import Voice
from realtts.errors import CheckpointCorrupt, RealTTSError
from realtts.testing import make_arrivals, make_request
from realtts.testing.load import mixed_load
from realtts_f5 import speaking, spec
from realtts_f5.options import F5Options
from realtts_f5.speaking import speak as speak_rows

TEXT = "Hello there, my dear friend, how are you?"
CHINESE = "\u4f60\u597d\uff0c\u6211\u7684\u670b\u53cb\uff0c\u4eca\u5929\u600e\u4e48\u6837\uff1f"
LONG = "I do not really care what you call me. I have been a silent spectator, watching species evolve. " * 4
EXACT = {"dtype": "float32"}
MODELS = ("f5-v1-base", pytest.param("f5-v0-base", marks=pytest.mark.full), "e2-base")
SHORT = {"force_tokens_per_char": 1.0}
"""A sixth of the usual length, so that a text of several chunks takes no longer than one of one."""
HALF = "These are the words."


@pytest.fixture
def copied(folders, tmp_path):
    """A checkpoint that may be spoilt."""

    def copy():
        shutil.copytree(folders("f5-v1-base"), tmp_path / "copy")
        return tmp_path / "copy"

    return copy


@pytest.fixture
def say(recording):
    """What every test says by two seconds of the recording, few steps unless it wants more."""
    samples, rate = recording
    return {"voice": (samples[: 2 * rate], rate), "reference_text": HALF, "seed": 5, "nfe_step": 4}


@pytest.mark.parametrize("model", MODELS)
def test_float32_speaks_as_plain(make, say, model):
    """Upstream's classes and ours make the same sound of the same seed; test_speaking has other languages."""
    expected = make(model, optimize=False).generate(TEXT, **say)
    speech = make(model, **EXACT, strict=True).generate(TEXT, **say)
    assert len(speech.samples) == len(expected.samples)
    assert np.abs(speech.samples - expected.samples).max() < 1e-3
    assert np.abs(expected.samples).max() > 0.01
    assert speech.metrics.tokens == expected.metrics.tokens


@pytest.mark.parametrize("model", MODELS)
def test_chunks_share_forwards(make, say, model):
    """A long text, whose chunks are solved together, is what plain makes of them one after the other."""
    expected = make(model, optimize=False, **SHORT).generate(LONG, **say)
    tts = make(model, **EXACT, **SHORT, strict=True)
    speech = tts.generate(LONG, **say)
    assert len(speech.samples) == len(expected.samples)
    assert np.abs(speech.samples - expected.samples).max() < 1e-3


def test_a_batch_speaks_what_each_speaks_alone(make, say):
    """Of different lengths, with other chunks beside them."""
    texts = [TEXT, LONG, "One more, a little longer than the first one is."]
    tts = make(**EXACT, **SHORT)
    together = tts.generate_batch(texts, **say)
    for index, text in enumerate(texts):
        alone = tts.generate(text, **{**say, "seed": together[index].seed})
        assert np.abs(alone.samples - together[index].samples).max() < 1e-4


@pytest.mark.parametrize(
    ("requests", "fault"),
    [
        pytest.param(14, "rows", marks=pytest.mark.full),  # by default: ContinuousConformance in test_conformance
        pytest.param(14, "rung", marks=pytest.mark.full),
        *(pytest.param(200, fault, marks=pytest.mark.slow) for fault in ("none", "rows", "rung")),
    ],
)
def test_every_request_is_what_it_is_alone(folders, recording, requests, fault):
    """Whoever is there, whenever it joins and leaves; also while one row in twenty fails, or the rung does."""
    samples, rate = recording
    voices = [Voice(samples[: seconds * rate // 2], rate, HALF) for seconds in (4, 5)]
    options = [{"nfe_step": 4, "cfg_strength": 0.0}, {"nfe_step": 5}]
    settings = {"model": folders("f5-v1-base"), "device": "cpu", "threads": 1, **EXACT, **SHORT}
    texts = [TEXT, "One more.", CHINESE, LONG[:180]]
    load = mixed_load(spec, settings, texts=texts, voices=voices, options=options, requests=requests, fault=fault)
    assert load.most_rows > 2


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_rows_take_turns_between_steps(folders, recording, monkeypatch, device):
    """First chunks come first, a long text is not forgotten, and who is cancelled leaves at the next step."""
    samples, rate = recording
    voice = Voice(samples[: 2 * rate], rate, HALF)
    monkeypatch.setitem(speaking._TOGETHER, "cpu", {"cpu": 1, "cuda": 16}[device])
    gone = []
    requests = [
        make_request(text, voice=voice, seed=3, streaming=True, options=F5Options(nfe_step=4, cfg_strength=0.0))
        for text in (LONG, "One more.", TEXT, "The last one.")
    ]
    requests.append(replace(requests[0], cancelled=lambda: bool(gone)))
    settings = {"model": folders("f5-v1-base"), "device": "cpu", "threads": 1, **EXACT, **SHORT}

    def speak(context, model, _):
        order, ends = [], {}
        for item in speak_rows(context, model, make_arrivals(requests)):
            if item is not None:
                order.append(item[0])
                if not isinstance(item[1], Chunk):
                    ends[item[0]] = (item[1], len(order))
            if len(order) == 4 and not gone:
                gone.append(len(order))
        return order, ends

    with Subject(spec, settings) as subject:
        order, ends = subject.load().apply(speak, requests[0])
    assert ends[4][0].reason == "cancelled"
    assert order[gone[0] :].count(4) == 1, "its end and no chunk"
    assert ends[4][1] <= gone[0] + 4, "behind what the others have of the same step"
    assert set(ends) == set(range(5))
    firsts = [order.index(number) for number in range(4)]
    assert max(firsts) < order.index(0, order.index(0) + 1), "nobody waits for the second chunk of another"


def test_a_stream_is_the_whole_of_the_same_chunks(make, say):
    """It begins with a short chunk, and is what `generate` gives of that ask."""
    tts = make(**EXACT, **SHORT)
    whole = tts.generate(LONG, **say, short_first_chunk=True)
    chunks = list(tts.stream(LONG, **say))
    live = np.concatenate([chunk.samples for chunk in chunks])
    assert len(chunks) > 2
    assert len(chunks[0].samples) < len(live) / 4
    assert len(live) == len(whole.samples)
    assert np.abs(live - whole.samples).max() < 1e-4


def test_half_precision_is_near(make, say):
    """The status names the type; for a request that refuses it the network is read again, and once more after it."""
    tts = make(dtype="bfloat16", native=False)
    speech = tts.generate(TEXT, **say)
    status = tts.get_provider_status()
    assert (status["variant"], status["attempts"]) == ("optimized", [])
    assert np.isfinite(speech.samples).all()
    assert speech.metrics.work["flow"].steps == 4
    assert status["optimization_details"]["dtype"] == "bfloat16"
    assert status["optimization_details"]["attention"] == "own"
    exact = tts.generate(TEXT, **say, use_fp16=False)
    assert tts.get_provider_status()["optimization_details"]["dtype"] == "float32"
    expected = make(**EXACT).generate(TEXT, **say)
    np.testing.assert_array_equal(exact.samples, expected.samples)
    again = tts.generate(TEXT, **say)
    np.testing.assert_array_equal(again.samples, speech.samples)


def test_a_file_that_goes_away_is_told(copied, say):
    """Where float32 must be read and cannot be: a typed error or the next rung, and the model speaks afterwards."""
    folder = copied()
    weights = folder / "model_1250000.safetensors"
    with RealProvider(spec, model=folder, device="cpu", threads=1, dtype="bfloat16") as tts:
        expected = tts.generate(TEXT, **say)
        content = weights.read_bytes()
        weights.write_bytes(b"nothing")
        with pytest.raises(RealTTSError):
            tts.generate(TEXT, **say, use_fp16=False)
        assert all("Assertion" not in str(attempt) for attempt in tts.get_provider_status()["attempts"])
        weights.write_bytes(content)
        tts.unload()
        again = tts.generate(TEXT, **say)
        assert len(again.samples) == len(expected.samples)


def test_weights_that_are_nan_are_told(copied, say):
    """By the file's name, and without the advice to use float32."""
    from safetensors.torch import load_file, save_file

    path = copied() / "model_1250000.safetensors"
    state = load_file(path)
    name = next(name for name in state if name.endswith("proj_out.weight"))
    save_file({**state, name: state[name] * float("nan")}, path)
    with (
        RealProvider(spec, model=path.parent, device="cpu", threads=1, **EXACT, strict=True) as tts,
        pytest.raises(CheckpointCorrupt, match="in float32 too"),
    ):
        tts.generate(TEXT, **say)


def test_a_cancelled_whole_keeps_its_beginning(folders, recording):
    """Whenever it is cancelled: what was finished of the text's beginning comes, in order, or nothing."""
    samples, rate = recording
    voice = Voice(samples[: 2 * rate], rate, HALF)
    options = F5Options(nfe_step=4, cfg_strength=0.0)
    ask = make_request(LONG, voice=voice, seed=3, options=options)
    settings = {"model": folders("f5-v1-base"), "device": "cpu", "threads": 1, **EXACT, **SHORT}
    with Subject(spec, settings) as subject:

        def speak(context, model, request, patience):
            questions = []

            def cancelled():
                questions.append(1)
                return len(questions) > patience

            items = speak_rows(context, model, make_arrivals([replace(request, cancelled=cancelled)]))
            chunks = [item[1] for item in items if item is not None and isinstance(item[1], Chunk)]
            return np.concatenate([np.zeros(0, np.float32), *(chunk.samples for chunk in chunks)]), len(questions)

        apply = subject.load().apply
        everything, questions = apply(speak, ask, 10**9)
        parts = [apply(speak, ask, patience)[0] for patience in range(0, questions, max(1, questions // 6))]
    assert len(parts[0]) == 0
    assert any(0 < len(each) < len(everything) for each in parts)
    for each in parts:
        np.testing.assert_allclose(each, everything[: len(each)], atol=1e-4)


def test_presets_are_never_silent(make, say):
    """Fewer steps than upstream's 32, and a warning; an explicit number wins."""
    tts = make(force_tokens_per_char=1.0)
    del say["nfe_step"]
    for quality, steps in (("fast", 7), ("balanced", 16), ("full", 32)):
        speech = tts.generate("Hello there, you.", **say, quality=quality, cfg_strength=0.0)
        assert speech.metrics.work["flow"].steps == steps
        assert any(quality in warning for warning in speech.warnings) == (steps < 32)
    assert tts.generate("Hello there, you.", **say, quality="fast", nfe_step=6).warnings == ()


def test_quantized_weights_are_refused_by_name(make, say):
    """They would be slower: the rung says so, and the next one speaks."""
    tts = make(quantization="int8")
    assert tts.generate("Hello there.", **say).duration > 0
    assert "not quantized" in tts.get_provider_status()["attempts"][0]["message"]
