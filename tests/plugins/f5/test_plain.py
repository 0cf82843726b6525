"""The plain variant: upstream's mel and sound, without what upstream leaves behind."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from realtts import RealProvider
from realtts.accel.upstream.calls import quiet
from realtts.contract.stages import Cancelled, never
from realtts.contract.types import Voice
from realtts.errors import CheckpointMismatch, InvalidOption, VoiceUnsuitable
from realtts.testing import make_context, make_request
from realtts_f5 import spec
from realtts_f5.frontend import prepare
from realtts_f5.options import F5Options

PLAIN = replace(spec, optimized=None)
MODELS = ("f5-v1-base", "e2-base", pytest.param("f5-v0-base", marks=pytest.mark.full))
SHORT = {"force_tokens_per_char": 1.0}
"""A sixth of the usual length, so that a text of several chunks takes no longer than one of one."""
WORDS = "These are the words of the recording."
HALF = "These are the words."
TEXT = "Hello there, this is a test."
LONG = "I do not really care what you call me. I have been a silent spectator, watching species evolve. " * 3


def ask_of(model, recording, text=TEXT, *, seed=11, **options):
    """A request in the model's terms."""
    samples, rate = recording
    voice = Voice(samples[: 5 * rate // 2], rate, HALF)
    request = make_request(text, voice=voice, seed=seed, options=F5Options(**options))
    return prepare(make_context(spec, variant="plain"), model.weights, request)


@pytest.fixture(scope="module")
def provider(folders):
    """The plain variant, for tests that leave it as it was."""
    with RealProvider(PLAIN, model=folders("f5-v1-base"), device="cpu", threads=1, strict=True) as provider:
        yield provider


@pytest.fixture
def short(recording):
    """The voice of two seconds: most of a request's work is its recording's frames."""
    samples, rate = recording
    return {"voice": (samples[: 2 * rate], rate), "reference_text": HALF, "nfe_step": 4}


def upstream_mel(model, ask, chunk, seed):
    """Upstream's own `CFM.sample`, which seeds torch's generator."""
    with torch.random.fork_rng(devices=[]), quiet():
        mel, _ = model.networks.cfm.sample(
            cond=torch.from_numpy(ask.reference.samples)[None],
            text=torch.tensor([chunk.ids]),
            duration=chunk.frames,
            steps=ask.steps,
            cfg_strength=ask.guidance,
            sway_sampling_coef=ask.sway,
            seed=seed,
        )
    return mel[0]


@pytest.mark.parametrize(
    "options", [{"nfe_step": 4}, {"quality": "fast", "cfg_strength": 0.0, "sway_sampling_coef": None}]
)
@pytest.mark.parametrize("name", MODELS)
def test_mel_is_upstreams(loaded, recording, name, options) -> None:
    """The noise of a single chunk is what upstream draws for the seed, so its mel is upstream's to the bit."""
    model = loaded(name)
    ask = ask_of(model, recording, **options)
    (chunk,) = ask.chunks
    mel = model.networks.mel(ask, chunk, never)
    assert torch.equal(mel, upstream_mel(model, ask, chunk, 11))
    assert torch.isfinite(mel).all()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_speech_is_upstreams(loaded, upstream_infer, recording, tmp_path, provider) -> None:
    """The whole way from file to samples, quiet speaker included: what `infer_process` says for the same noise."""
    import soundfile

    model = loaded("f5-v1-base")
    path = tmp_path / "voice.wav"
    soundfile.write(path, *recording, subtype="PCM_16")
    with torch.random.fork_rng(devices=[]), quiet():
        made, words = upstream_infer.preprocess_ref_audio_text(str(path), WORDS, show_info=lambda *_: None)
        torch.manual_seed(3)
        expected, _, _ = upstream_infer.infer_process(
            made, words, TEXT, _with_symbols(model), model.networks.vocos, show_info=lambda *_: None, progress=None,
            nfe_step=4, device="cpu",
        )  # fmt: skip
    speech = provider.generate(TEXT, voice=path, reference_text=WORDS, seed=3, nfe_step=4)
    assert len(speech.samples) == len(expected)
    assert np.abs(speech.samples - expected).max() < 1e-5


def _with_symbols(model):
    """Upstream's network with the table of symbols that its own loader gives it."""
    model.networks.cfm.vocab_char_map = model.weights.vocabulary._ids
    return model.networks.cfm


def test_seeds_hold_for_many_chunks(plain, short) -> None:
    """Equal seeds repeat every chunk, streamed or whole; others do not."""
    provider = plain(**SHORT)
    one, other = (provider.generate(LONG, seed=seed, **short, short_first_chunk=True) for seed in (1, 2))
    assert not np.array_equal(one.samples, other.samples)
    streamed = list(provider.stream(LONG, seed=1, **short))
    assert len(streamed) > 2
    assert np.array_equal(np.concatenate([chunk.samples for chunk in streamed]), one.samples)


def test_nothing_is_left_behind(loaded, recording, capfd, tmp_path, monkeypatch) -> None:
    """No random number taken, nothing printed, no file, no text in the network's cache, no hook."""
    model = loaded("f5-v1-base")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = torch.get_rng_state().tolist(), dict(os.environ)
    ask = ask_of(model, recording, nfe_step=4)
    model.networks.samples(ask, model.networks.mel(ask, ask.chunks[0], never))
    assert torch.get_rng_state().tolist() == before[0]
    assert dict(os.environ) == before[1]
    assert not list(tmp_path.iterdir())
    assert (model.networks.cfm.transformer.text_cond, model.networks.cfm.transformer.text_uncond) == (None, None)
    assert not model.networks.cfm.transformer.time_embed._forward_pre_hooks
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["f5-v1-base", pytest.param("e2-base", marks=pytest.mark.full)])
def test_text_of_a_failed_request_is_not_said_again(loaded, recording, name) -> None:
    """After an error in the middle of a step the next request says its own text."""
    model = loaded(name)
    ask = ask_of(model, recording, nfe_step=4)
    expected = model.networks.mel(ask, ask.chunks[0], never)
    questions = []
    other = ask_of(model, recording, "Something else entirely, and longer.", nfe_step=4)
    with pytest.raises(Cancelled):
        model.networks.mel(other, other.chunks[0], lambda: questions.append(1) or len(questions) > 2)
    assert len(questions) == 3
    assert torch.equal(model.networks.mel(ask, ask.chunks[0], never), expected)


def test_remove_silence_is_an_option(plain, short) -> None:
    """The speech is whole then, in one chunk even of a stream."""
    provider = plain(**SHORT)
    stream = provider.stream(LONG, seed=1, **short, remove_silence=True)
    chunks = [chunk for chunk in stream if len(chunk.samples)]
    whole = provider.generate(LONG, seed=1, **short, remove_silence=True)
    assert len(chunks) == 1
    assert np.array_equal(chunks[0].samples, whole.samples)


def test_fast_is_never_silent(provider, short) -> None:
    """The quality preset says what it set."""
    speech = provider.generate("Hello.", **{**short, "nfe_step": None}, quality="fast", cfg_strength=0.0)
    assert any("7 solver steps" in warning for warning in speech.warnings)


def test_fixed_duration(provider, recording) -> None:
    """Recording and speech together take the seconds that were given."""
    speech = provider.generate(TEXT, voice=recording, reference_text=WORDS, fix_duration=8.0, nfe_step=4)
    assert speech.duration == pytest.approx(8.0 - 5.07, abs=0.1)
    assert speech.finish_reason == "stop"


ODD = {
    "40 s": lambda wave, rate: (np.tile(wave, 8)[: 40 * rate], rate),
    "stereo": lambda wave, rate: (np.stack([wave, 0.8 * wave]), rate),
    "8 kHz": lambda wave, rate: (wave[::3], rate // 3),
    "int16": lambda wave, rate: ((wave * 32767).astype(np.int16), rate),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_recordings_speak(provider, recording, case) -> None:
    """Long, of two channels, slow, in whole numbers."""
    words = " ".join([WORDS] * 8) if case == "40 s" else WORDS
    speech = provider.generate(TEXT, voice=ODD[case](*recording), reference_text=words, nfe_step=4, cfg_strength=0.0)
    assert np.isfinite(speech.samples).all()
    assert speech.duration > 1


@pytest.mark.parametrize(
    ("voice", "expected"),
    [
        ((np.zeros(48_000, np.float32), 24_000), VoiceUnsuitable),
        ((0.1 * np.ones(2400, np.float32), 24_000), VoiceUnsuitable),
        ((np.full(48_000, 0.005, np.float32), 24_000), VoiceUnsuitable),
    ],
    ids=["silent", "0.1 s", "nearly silent"],
)
def test_recordings_without_a_voice_are_refused(provider, voice, expected) -> None:
    """Where upstream speaks NaN or noise."""
    with pytest.raises(expected):
        provider.generate(TEXT, voice=voice, reference_text=WORDS, nfe_step=4)


@pytest.mark.parametrize("wrong", [{"nfe_step": 0}, {"nfe_step": 3}, {"speed": 0}, {"fix_duration": 0.0}], ids=str)
def test_impossible_options_are_refused(provider, wrong) -> None:
    """Where upstream divides by zero, or speaks noise."""
    with pytest.raises(InvalidOption):
        provider.generate(TEXT, **wrong)


@pytest.mark.full  # by default: test_frontend.test_text_without_punctuation_is_divided
def test_long_text_without_punctuation_speaks(provider, short) -> None:
    """5,000 characters, at which upstream's positions end."""
    speech = provider.generate("word " * 1000, **short, cfg_strength=0.0, seed=1, speed=4.0)
    assert speech.duration > 50
    assert np.isfinite(speech.samples).all()


def test_a_wrong_checkpoint_is_told(plain, tmp_path) -> None:
    """Through the whole provider: by name, with what to do."""
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with (
        pytest.raises(CheckpointMismatch, match=r"realtts\.json"),
        RealProvider(spec, model=tmp_path, strict=True) as provider,
    ):
        provider.generate("Hello.")
