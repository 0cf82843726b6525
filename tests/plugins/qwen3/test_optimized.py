"""The optimized variant: plain's frames and sound in float32, whole, batched and streamed; faults, voices, memory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from realtts.errors import CheckpointCorrupt
from realtts_qwen3 import plain as plain_module

TEXT = "hello there, this is the test."
SHORT = ["hello there.", "test.", "the test."]
WORDS = "hello the"
EXACT = {"dtype": "float32", "quantization": "none"}
FRAME = 1920
WAYS = {
    "speaker": ("0.6b-custom-voice", {"voice": "ryan", "language": "en"}),
    "design": ("1.7b-voice-design", {"instruct": "A deep voice."}),
    "clone": ("0.6b-base", {"reference_text": WORDS}),
    "x-vector": ("1.7b-base", {}),
}


@pytest.fixture
def make(make, monkeypatch):
    """As ever, but that plain is our networks, which are quick."""
    monkeypatch.setattr(plain_module, "why_not", lambda: "it takes too long here")
    return make


def arguments_of(way, recording):
    """Model and arguments of one of the ways to speak."""
    model, options = WAYS[way]
    return model, {"seed": 5, **options, **({"voice": recording} if "base" in model else {})}


@pytest.mark.parametrize(
    # By default test_network compares the frames of the other ways with upstream's.
    "way",
    ["clone", *(pytest.param(way, marks=pytest.mark.full) for way in ("speaker", "design", "x-vector"))],
)
def test_float32_speaks_as_plain(make, recording, way):
    """Same seed, same number of frames, the same sound; as a stream and in a batch, too."""
    model, arguments = arguments_of(way, recording)
    text = SHORT[0]
    expected = make(model, optimize=False).generate(text, **arguments)
    tts = make(model, **EXACT, strict=True)
    whole = tts.generate(text, **arguments)
    assert whole.metrics.tokens == expected.metrics.tokens == len(text)
    assert len(whole.samples) == len(expected.samples) == FRAME * len(text)
    assert np.abs(whole.samples - expected.samples).max() < 1e-4
    assert np.abs(expected.samples).max() > 0.05
    live = np.concatenate([chunk.samples for chunk in tts.stream(text, **arguments)])
    assert np.abs(live - whole.samples).max() < 1e-5
    for text, speech in zip(SHORT, tts.generate_batch(SHORT, **arguments), strict=True):
        alone = tts.generate(text, **{**arguments, "seed": speech.seed})
        assert len(speech.samples) == FRAME * len(text)
        assert np.abs(alone.samples - speech.samples).max() < 1e-5


def test_the_fastest_rung_is_near(make, recording):
    """What is chosen by itself, on this machine."""
    model, arguments = arguments_of("clone", recording)
    tts = make(model, native=False)
    speech = tts.generate(SHORT[0], **arguments)
    status = tts.get_provider_status()
    assert (status["variant"], status["attempts"]) == ("optimized", [])
    assert status["optimization_details"]["codec_dtype"] == status["optimization_details"]["dtype"]
    assert len(speech.samples) == FRAME * len(SHORT[0])
    assert speech.metrics.work["talker"].flops > 0
    assert speech.metrics.work["codec"].steps == len(SHORT[0])


def test_it_is_quantized(make):
    """On the rung that was asked for, without a step down."""
    tts = make(quantization="int8", native=False)
    assert tts.generate("test.", seed=1).duration > 0
    status = tts.get_provider_status()
    assert (status["rung"], status["attempts"]) == ("int8", [])
    assert status["optimization_details"]["weights"] == "int8"


def test_the_chunks_of_a_stream_grow(make):
    """From one frame to the most, by the options."""
    tts = make(**EXACT, force_tokens_per_char=0.6)

    def frames(chunks, **options):
        with tts.stream(TEXT, seed=1, **options) as stream:
            sizes = (len(chunk.samples) / FRAME for chunk in stream if len(chunk.samples))
            return list(itertools.islice(sizes, chunks))

    assert frames(None) == [1, 2, 4, 8, 3]
    assert frames(3, chunk_frames=3, chunk_growth=1.0) == [3, 3, 3]
    assert frames(3, chunk_frames=2, chunk_growth=3.0, max_chunk_frames=5) == [2, 5, 5]


def test_the_first_chunk_comes_with_the_first_frame(make):
    """A stream is one: sound while the talker still draws."""
    tts = make(**EXACT, force_tokens_per_char=20.0)
    with tts.stream(SHORT[0], seed=5) as stream:
        assert len(next(stream).samples) == FRAME


def test_cancelling_a_stream_ends_it(make):
    """At the next frame; the next request is as ever."""
    tts = make(**EXACT, force_tokens_per_char=10.0, stream_buffer=1)
    before = tts.generate("te", seed=1).samples
    stream = tts.stream(TEXT, seed=5, chunk_growth=1.0)
    next(stream)
    tts.cancel()
    assert sum(len(chunk.samples) for chunk in stream) <= 4 * FRAME
    np.testing.assert_array_equal(tts.generate("te", seed=1).samples, before)


def test_the_decoders_state_is_kept_by_its_form(make, recording, monkeypatch):
    """Another type has another state, of the same prompt; without the words none is needed."""
    model, arguments = arguments_of("clone", recording)
    make(model, **EXACT).generate("test.", **arguments)
    monkeypatch.setattr("realtts_qwen3.model.PortedEncoders", lambda *_: pytest.fail("the encoders were read"))
    other = make(model, dtype="bfloat16", quantization="none")
    other.generate("test.", **arguments)
    assert other.get_provider_status()["cache"]["disk_misses"] == 1
    same = make(model, dtype="float32", quantization="none")
    same.generate("test.", **{**arguments, "reference_text": None})
    assert same.get_provider_status()["cache"]["disk_hits"] == 1


@pytest.mark.full  # by default: test_stages.test_the_status_tells_facts
def test_the_status_names_the_kernel_of_attention(make):
    """The one that runs, and why it is not the one that was asked for; the frames are the same."""
    arguments = {"text": SHORT[1], "voice": "ryan", "seed": 5}
    expected = make(**EXACT).generate(**arguments)
    for setting, name, reason in (
        ("auto", "flash", "none"),
        ("sdpa", "sdpa", "none"),
        ("math", "math", "none"),
        ("eager", "math", "eager: the model calls torch's attention alone"),
        ("flash_attention_2", "flash", "flash_attention_2: the package flash_attn needs a CUDA device"),
    ):
        tts = make(**EXACT, attention=setting)
        speech = tts.generate(**arguments)
        details = tts.get_provider_status()["optimization_details"]
        assert details["attention"] == name
        assert details.get("no_attention", "none").startswith(reason)
        assert np.abs(speech.samples - expected.samples).max() < 1e-4


@pytest.mark.parametrize(
    ("file", "weight"),
    [("model.safetensors", "codec_head.weight"), ("speech_tokenizer/model.safetensors", "decoder.pre_conv.conv.bias")],
)
def test_weights_that_are_nan_are_told(make, spoilt, file, weight):
    """In float32 the file is to blame, and not the precision; below it, another rung is tried first."""
    tts = make("0.6b-custom-voice", path=spoilt("0.6b-custom-voice", file, weight), **EXACT)
    with pytest.raises(CheckpointCorrupt, match=f"{file}.*in float32 too"):
        tts.load()
