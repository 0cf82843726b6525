"""The optimized variant: plain's frames and sound in float32, whole, batched and streamed; faults, voices, memory."""

from __future__ import annotations

import gc

import numpy as np
import psutil
import pytest
import torch

from realtts import RealProvider
from realtts.bench.floor import floor_of
from realtts.errors import RealTTSError
from realtts.hookspecs import STAGES
from realtts.testing import faulty
from realtts_qwen3 import plain as plain_module
from realtts_qwen3 import spec

TEXT = "hello there, this is the test."
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
def make(folders, tmp_path, monkeypatch):
    """Makes providers that are closed at the end, with caches of their own; plain is our networks, which are quick."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(plain_module, "why_not", lambda: "it takes too long here")
    made = []

    def make(model="0.6b-custom-voice", used=spec, **settings):
        given = {"device": "cpu", "threads": 1, "force_tokens_per_char": 1.0, **settings}
        made.append(RealProvider(used, model=folders(model), **given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


def told_to(way, recording):
    """Model and arguments of one of the ways to speak."""
    model, given = WAYS[way]
    return model, {"seed": 5, **given, **({"voice": recording} if "base" in model else {})}


@pytest.mark.parametrize("way", WAYS)
def test_float32_speaks_as_plain(make, recording, way):
    """Same seed, same number of frames, the same sound; as a stream and in a batch, too."""
    model, told = told_to(way, recording)
    expected = make(model, optimize=False).generate(TEXT, **told)
    tts = make(model, **EXACT, strict=True)
    found = tts.generate(TEXT, **told)
    assert found.metrics.tokens == expected.metrics.tokens == len(TEXT)
    assert len(found.samples) == len(expected.samples) == FRAME * len(TEXT)
    assert np.abs(found.samples - expected.samples).max() < 1e-4
    assert np.abs(expected.samples).max() > 0.05
    live = np.concatenate([chunk.samples for chunk in tts.stream(TEXT, **told)])
    assert np.abs(live - found.samples).max() < 1e-5
    texts = [TEXT, "test.", "the test is the test, hello there."]
    for text, speech in zip(texts, tts.generate_batch(texts, **told), strict=True):
        alone = tts.generate(text, **{**told, "seed": speech.seed})
        assert len(speech.samples) == FRAME * len(text)
        assert np.abs(alone.samples - speech.samples).max() < 1e-5


def test_the_fastest_rung_is_near(make, recording):
    """What is chosen by itself, on this machine."""
    model, told = told_to("clone", recording)
    tts = make(model)
    speech = tts.generate(TEXT, **told)
    status = tts.get_provider_status()
    assert (status["variant"], status["attempts"]) == ("optimized", [])
    assert status["optimization_details"]["codec_dtype"] == status["optimization_details"]["dtype"]
    assert len(speech.samples) == FRAME * len(TEXT)
    assert speech.metrics.work["talker"].flops > 0
    assert speech.metrics.work["codec"].steps == len(TEXT)


def test_it_is_quantized(make):
    """On the rung that was asked for, without a step down."""
    tts = make(quantization="int8")
    assert tts.generate("test.", seed=1).duration > 0
    status = tts.get_provider_status()
    assert (status["rung"], status["attempts"]) == ("int8", [])
    assert status["optimization_details"]["weights"] == "int8"


def test_the_chunks_of_a_stream_grow(make):
    """From one frame to the most, by the options."""
    tts = make(**EXACT, force_tokens_per_char=2.0)

    def frames(**options):
        return [len(chunk.samples) / FRAME for chunk in tts.stream(TEXT, seed=1, **options) if len(chunk.samples)]

    assert frames() == [1, 2, 4, 8, 16, 16, 13]
    assert frames(chunk_frames=3, chunk_growth=1.0)[:4] == [3, 3, 3, 3]
    assert frames(chunk_frames=2, chunk_growth=3.0, max_chunk_frames=10)[:4] == [2, 6, 10, 10]


def test_the_first_chunk_comes_with_the_first_frame(make):
    """A stream is one: sound while the talker still draws."""
    tts = make(**EXACT, force_tokens_per_char=20.0)
    with tts.stream(TEXT, seed=5) as stream:
        assert len(next(stream).samples) == FRAME


def test_cancelling_a_stream_ends_it(make):
    """At the next frame; the next request is as ever."""
    tts = make(**EXACT, force_tokens_per_char=50.0, stream_buffer=1)
    before = tts.generate("te", seed=1).samples
    stream = tts.stream(TEXT, seed=5, chunk_growth=1.0)
    next(stream)
    tts.cancel()
    assert sum(len(chunk.samples) for chunk in stream) <= 4 * FRAME
    np.testing.assert_array_equal(tts.generate("te", seed=1).samples, before)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in {"rungs", "probe"}])
def test_every_stage_falls_back(make, stage):
    """To plain at last, with each reason."""
    tts = make(used=faulty(spec, stage), force_tokens_per_char=0.5)
    if stage == "unload":
        tts.generate("test.")
        tts.unload()
        return
    speech = tts.generate("test.", seed=1)
    status = tts.get_provider_status()
    assert speech.duration > 0
    assert status["variant"] == "plain"
    assert {attempt["stage"] for attempt in status["attempts"]} == {stage}
    assert all("was told to fail" in attempt["message"] for attempt in status["attempts"])


def test_a_voice_is_computed_once_for_every_process(make, recording, monkeypatch):
    """The second provider finds codes, embedding and the decoder's state on disk, and reads no encoder."""
    model, told = told_to("clone", recording)
    first = make(model).generate("test.", **told)

    def never(*_):
        pytest.fail("the encoders were read")

    monkeypatch.setattr("realtts_qwen3.optimized.OwnEncoders", never)
    tts = make(model)
    again = tts.generate("test.", **told)
    np.testing.assert_array_equal(again.samples, first.samples)
    assert tts.get_provider_status()["cache"]["disk_hits"] == 2
    live = np.concatenate([chunk.samples for chunk in tts.stream("test.", **told)])
    assert len(live) == len(first.samples)
    assert tts.get_provider_status()["cache"]["disk_hits"] == 2


def test_the_decoders_state_is_kept_by_its_form(make, recording, monkeypatch):
    """Another type has another state, of the same prompt; without the words none is needed."""
    model, told = told_to("clone", recording)
    make(model, **EXACT).generate("test.", **told)
    monkeypatch.setattr("realtts_qwen3.optimized.OwnEncoders", lambda *_: pytest.fail("the encoders were read"))
    other = make(model, dtype="bfloat16", quantization="none")
    other.generate("test.", **told)
    assert other.get_provider_status()["cache"]["disk_misses"] == 1
    same = make(model, dtype="float32", quantization="none")
    same.generate("test.", **{**told, "reference_text": None})
    assert same.get_provider_status()["cache"]["disk_hits"] == 1


def test_a_batch_leaves_no_cache_behind(make):
    """Keys and values of many rows are let go of."""
    tts = make(**EXACT)
    tts.generate("hello, hello.", seed=1)
    before = tensors()
    tts.generate_batch(["test.", "hello, hello.", "the."], seed=1)
    assert tensors() == before


def test_unload_frees_everything(make, recording):
    """No tensor of the provider outlives it but the voice's, and a hundred requests leave none and no memory behind."""
    model, told = told_to("clone", recording)
    tts = make(model)

    def speak(seeds):
        for seed in seeds:
            tts.generate("test " * (1 + seed % 4), **{**told, "seed": seed})
            list(tts.stream("test.", **{**told, "seed": seed}))

    speak(range(4))
    tts.unload()
    unloaded = tensors()
    speak(range(4))
    loaded, resident = tensors(), psutil.Process().memory_info().rss
    speak(range(4, 54))
    assert tensors() == loaded
    assert psutil.Process().memory_info().rss < 1.05 * resident
    tts.unload()
    assert tensors() == unloaded


def tensors():
    """Number and bytes of all tensors that are alive and not somebody's constants."""
    gc.unfreeze()
    gc.collect()
    found = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
    gc.freeze()
    return len(found), sum(tensor.nbytes for tensor in found if not tensor.is_mkldnn)


@pytest.mark.parametrize(
    ("asked", "name", "reason"),
    [
        ("auto", "flash", None),
        ("sdpa", "sdpa", None),
        ("eager", "math", "eager: the model calls torch's attention alone"),
        ("flash_attention_2", "flash", "flash_attention_2: the package flash_attn needs a CUDA device"),
    ],
)
def test_the_status_names_the_kernel_of_attention(make, asked, name, reason):
    """The one that runs, and why it is not the one that was asked for; the frames are the same."""
    tts = make(**EXACT, attention=asked)
    found = tts.generate(TEXT, voice="ryan", seed=5)
    details = tts.get_provider_status()["optimization_details"]
    assert details["attention"] == name
    assert details.get("no_attention", "none").startswith(reason or "none")
    assert np.abs(found.samples - make(**EXACT).generate(TEXT, voice="ryan", seed=5).samples).max() < 1e-4


def test_a_strict_provider_takes_no_other_kernel(make):
    """Than the one that was asked for."""
    with pytest.raises(RealTTSError, match="flash_attn needs a CUDA"):
        make(**EXACT, attention="flash_attention_2", strict=True).load()


def test_every_stage_has_a_floor(make):
    """For `realtts bench`: twice the frames, a higher one, in a batch as alone."""
    tts = make(**EXACT)
    rates = {"bytes_per_s": 1e10, "flops_per_s": {"float32": 1e11}}
    short, long = (tts.generate(TEXT * times, voice="ryan", seed=5).metrics.work for times in (1, 2))
    for stage in ("talker", "codec"):
        floors = [floor_of(work[stage], rates) for work in (short, long)]
        assert 0 < floors[0] < floors[1]
    assert long["codec"].flops == 2 * short["codec"].flops
