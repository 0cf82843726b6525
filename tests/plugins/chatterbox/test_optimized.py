"""The optimized variant: plain's sound in float32, whole, batched and streamed; faults, voices, memory."""

from __future__ import annotations

import numpy as np
import pytest

from realtts.errors import CheckpointCorrupt
from realtts.testing.device import live_tensors
from realtts_chatterbox.testing import write_random_checkpoint
from realtts_chatterbox.watermark import Watermarker

TEXT = "Hello there, my dear friend."
EXACT = {"dtype": "float32", "quantization": "none"}
FEW = {"watermark": False, "n_cfm_timesteps": 2}
"""Where it is not the sound that is judged; Turbo has two steps anyway."""

FULL_KINDS = ("english", pytest.param("turbo", marks=pytest.mark.full))
"""English stands for all where nothing depends on the networks; Multilingual has the same ones."""

DEFAULT_KINDS = ("english", pytest.param("multilingual", marks=pytest.mark.full), "turbo")
"""One of each architecture; Multilingual's networks are English's, of other sizes."""

NEAR = {"english": 1e-4, "multilingual": 3e-4, "turbo": 1e-4}
"""Largest difference of samples in float32. The vocoder adds up the pitch of all frames to a phase, nine-fold for the
highest overtone, so that rounding of the mel grows with time, and with the loudness. Multilingual's was found with
weights five times as loud: upstream's own vocoder then moves by 1e-4 in 80 frames and by 4e-4 in 500 if its mel is
changed by half of float32's last bit."""


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_float32_speaks_as_plain(make, kind):
    """Same seed, same tokens, and the same sound within 1e-4; voiced, because the pitch is raised."""
    expected = make(kind, optimize=False).generate(TEXT, seed=5, watermark=False)
    found = make(kind, **EXACT, strict=True).generate(TEXT, seed=5, watermark=False)
    assert found.metrics.tokens == expected.metrics.tokens == len(TEXT)
    assert len(found.samples) == len(expected.samples)
    assert np.abs(found.samples - expected.samples).max() < NEAR[kind]
    assert np.abs(expected.samples).max() > 0.05


@pytest.mark.full  # by default: test_conformance.test_batch_equals_single
@pytest.mark.parametrize("kind", FULL_KINDS)
def test_a_batch_speaks_what_each_speaks_alone(make, kind):
    """Of different lengths and options."""
    texts = [TEXT, "Hm.", "One more, a little longer than that."]
    tts = make(kind, **EXACT)
    together = tts.generate_batch(texts, seed=5, **FEW)
    for index, text in enumerate(texts):
        alone = tts.generate(text, seed=together[index].seed, **FEW)
        assert np.abs(alone.samples - together[index].samples).max() < NEAR[kind]


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_the_fastest_rung_is_near(make, kind):
    """What is quantized by itself, on this machine."""
    tts = make(kind, native=False)
    speech = tts.generate(TEXT, seed=5, watermark=False)
    status = tts.get_provider_status()
    assert status["variant"] == "optimized"
    assert status["attempts"] == []
    assert speech.duration == pytest.approx(0.04 * (len(TEXT) + 3 * (kind == "turbo")))
    assert np.isfinite(speech.samples).all()
    assert speech.metrics.work["flow"].steps == (2 if kind == "turbo" else 10)


@pytest.mark.full  # by default: test_the_fastest_rung_is_near, of Turbo
def test_turbo_is_quantized_too(make):
    """On the rung that was asked for, without a step down."""
    tts = make("turbo", quantization="int8", native=False)
    assert tts.generate("Hm.", seed=1, watermark=False).duration > 0
    status = tts.get_provider_status()
    assert (status["rung"], status["attempts"]) == ("int8", [])
    assert status["optimization_details"]["weights"] == "int8"


@pytest.mark.parametrize("kind", FULL_KINDS)
def test_a_stream_is_as_long_as_the_whole(make, kind):
    """In several chunks; each pair of seams no louder than the sound around it."""
    tts = make(kind, **EXACT, force_tokens_per_char=2.0)
    whole = tts.generate(TEXT, seed=5, **FEW)
    chunks = [chunk for chunk in tts.stream(TEXT, seed=5, **FEW) if len(chunk.samples)]
    live = np.concatenate([chunk.samples for chunk in chunks])
    assert len(live) == len(whole.samples)
    assert len(chunks) > 1
    steps = np.abs(np.diff(live))
    for seam in np.cumsum([len(chunk.samples) for chunk in chunks])[:-1]:
        around = steps[max(0, seam - 480) : seam + 480].max()
        assert steps[seam - 1] <= around


@pytest.mark.full  # by default: test_the_smallest_chunk_sounds_at_once
@pytest.mark.parametrize("kind", FULL_KINDS)
def test_the_first_chunk_comes_before_the_last_token(make, kind):
    """A stream is one: sound while T3 still decodes."""
    tts = make(kind, **EXACT, force_tokens_per_char=4.0)
    with tts.stream(TEXT, seed=5, **FEW) as stream:
        first = next(chunk for chunk in stream if len(chunk.samples))
        assert first.tokens < 4 * len(TEXT) / 2
        stream.close()


@pytest.mark.full  # by default: test_loading.test_other_weights_are_another_identity
@pytest.mark.parametrize("optimize", [True, False], ids=["optimized", "plain"])
def test_a_voice_belongs_to_its_weights(make, recording, tmp_path, optimize):
    """Weights that are exchanged in their folder get a voice of their own, not the one that others read."""
    folder, told = tmp_path / "weights", {"voice": recording, "seed": 1, "watermark": False}
    write_random_checkpoint(str(folder), seed=1, f0_bias=120.0)
    given = {"optimize": optimize, "path": folder} | (EXACT if optimize else {})
    first = make(**given).generate("Hm.", **told).samples
    write_random_checkpoint(folder, seed=2, f0_bias=120.0)
    found = make(**given).generate("Hm.", **told).samples
    expected = make(**given, data_dir=tmp_path / "fresh").generate("Hm.", **told).samples
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(found, first)


@pytest.mark.full  # by default: test_network and test_plain, each against upstream's loop
def test_guidance_of_nothing_needs_no_second_row(make):
    """And gives what two rows with weight 0 give, which is how plain has it."""
    expected = make(optimize=False).generate(TEXT, seed=5, watermark=False, cfg_weight=0.0)
    found = make(**EXACT).generate(TEXT, seed=5, watermark=False, cfg_weight=0.0)
    assert np.abs(found.samples - expected.samples).max() < 1e-4


def test_the_preset_is_never_silent(make):
    """It takes half the steps, and says so."""
    speech = make(**EXACT).generate("Hm.", quality="fast")
    assert speech.metrics.work["flow"].steps == 5
    assert any("'fast'" in warning for warning in speech.warnings)


@pytest.mark.full  # by default: test_plain.test_watermark_is_an_option
@pytest.mark.parametrize("marked", [True, False])
def test_the_watermark_is_found(make, marked):
    """In the whole, and in a stream whose chunks were marked one by one; only where it was asked for."""
    tts = make(**EXACT, force_tokens_per_char=3.0)
    whole = tts.generate(TEXT, seed=1, watermark=marked, n_cfm_timesteps=2).samples
    live = np.concatenate([chunk.samples for chunk in tts.stream(TEXT, seed=1, watermark=marked, n_cfm_timesteps=2)])
    watermarker = Watermarker()
    assert [watermarker.confidence(samples, 24_000) > 0.5 for samples in (whole, live)] == [marked, marked]


def test_a_stream_tells_the_stages_of_the_whole(make):
    """Flow and vocoder apart, each with the steps that it took: of a stream more, because it is computed in pieces."""
    tts = make(**EXACT, force_tokens_per_char=3.0)
    whole = tts.generate(TEXT, seed=5, **FEW).metrics
    with tts.stream(TEXT, seed=5, **FEW) as stream:
        pieces = sum(len(chunk.samples) > 0 for chunk in stream)
        work = stream.metrics.work
    assert work.keys() == whole.work.keys() == {"t3", "flow", "vocoder"}
    assert work["flow"].steps == 2 * pieces > whole.work["flow"].steps
    assert work["vocoder"].steps == pieces
    assert work["flow"].dtype == work["vocoder"].dtype == "float32"


@pytest.mark.full  # by default: test_conformance.test_cancelled_stream_ends
def test_cancelling_a_stream_ends_it(make):
    """At the next step of T3 or of the solver; the next request is as ever."""
    tts = make(**EXACT, force_tokens_per_char=20.0)
    stream = tts.stream(TEXT, seed=5, **FEW)
    next(stream)
    tts.cancel()
    assert sum(chunk.duration for chunk in stream) < 0.04 * 20 * len(TEXT) / 2
    assert tts.generate("Hm.", seed=1).duration > 0


@pytest.mark.parametrize(
    ("asked", "runs", "t3"),
    [
        ("auto", "own", "flash"),
        ("sdpa", "sdpa", "sdpa"),
        *(pytest.param(name, "math", "math", marks=pytest.mark.full) for name in ("math", "eager")),
    ],
)
def test_it_tells_what_runs(make, asked, runs, t3):
    """Not what was asked for: on the CPU nothing moves, and nothing here is compiled."""
    tts = make(**EXACT, attention=asked, cpu_offload=True)
    tts.load()
    details = tts.get_provider_status()["optimization_details"]
    assert (details["attention"], details["compile"], details["offload"]) == (runs, False, False)
    assert details["t3_attention"] == t3


def test_unload_leaves_no_tensor(make):
    """Whoever still holds the provider."""
    tts = make(**EXACT)
    tts.load()
    tts.unload()  # the first load fills caches that stay
    before = live_tensors()
    tts.generate("Hm.", seed=1, watermark=False, n_cfm_timesteps=1)
    assert live_tensors() != before
    tts.unload()
    assert live_tensors() == before


def test_a_kernel_that_cannot_be_had_is_told(make):
    """With the reason, and what runs instead."""
    tts = make(**EXACT, attention="flash_attention_2")
    tts.load()
    details = tts.get_provider_status()["optimization_details"]
    assert (details["attention"], details["t3_attention"]) == ("flash", "flash")
    assert details["no_attention"] == "flash_attention_2: the package flash_attn needs a CUDA device, not cpu"


def test_the_smallest_chunk_sounds_at_once(make):
    """As soon as the chunk and its look-ahead are drawn; with fewer tokens the vocoder would hold all of it back."""
    tts = make(**EXACT, force_tokens_per_char=3.0)
    with tts.stream(TEXT, seed=5, **FEW, chunk_tokens=15, lookahead_tokens=5) as stream:
        drawn = 0
        for chunk in stream:
            drawn += chunk.tokens
            if len(chunk.samples):
                break
        assert len(chunk.samples) == 5 * 960
        assert drawn == 15 + 5
        stream.close()


@pytest.mark.full  # by default: test_the_smallest_chunk_sounds_at_once
def test_the_stream_is_the_plugins(make):
    """Chunk size and look-ahead reach it."""
    tts = make(**EXACT, force_tokens_per_char=3.0)
    small = [c for c in tts.stream(TEXT, seed=5, **FEW, chunk_tokens=15, lookahead_tokens=3) if len(c.samples)]
    large = [c for c in tts.stream(TEXT, seed=5, **FEW, chunk_tokens=60, lookahead_tokens=20) if len(c.samples)]
    assert small[0].duration < large[0].duration


@pytest.mark.parametrize(
    ("file", "weight"),
    [("t3_cfg.safetensors", "speech_head.weight"), ("s3gen.safetensors", "mel2wav.conv_pre.bias")],
)
def test_weights_that_are_nan_are_told(make, spoilt, file, weight):
    """In float32 the file is to blame, and not the precision; below it, another rung is tried first."""
    tts = make("english", path=spoilt("english", file, weight), **EXACT)
    with pytest.raises(CheckpointCorrupt, match=f"{file}.*in float32 too"):
        tts.load()
