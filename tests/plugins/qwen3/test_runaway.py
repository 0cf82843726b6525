"""Speech without an end is stopped before its cap, and spoken again with another seed."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from realtts_qwen3 import runaway
from realtts_qwen3.codec import CodecDecoder
from realtts_qwen3.runaway import MAX_REPEATED, MAX_SILENCE, SILENCE, RunawayDetector

TEXT = "hello there, this is the test, and hello again, this is the test."
FRAME, RATE = 1920, 24_000


def codes_of(first):
    """Frames with these first codes; the others differ."""
    codes = torch.randint(0, 2048, (len(first), 16), generator=torch.Generator().manual_seed(0))
    codes[:, 0] = torch.tensor(first)
    return codes


def sound(seconds, level):
    """Noise of a level, in whole frames."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * RATE / FRAME) * FRAME)
    return (level * noise).astype(np.float32)


@pytest.fixture
def watch():
    """Of one request."""
    return RunawayDetector(rate=RATE, frame=FRAME)


@pytest.mark.parametrize("period", [1, 2, 3, 4])
def test_what_repeats_is_found(watch, period):
    """Whatever the other codes are, and however the frames come, but not a frame too early."""
    first = [n % period for n in range(MAX_REPEATED + period)]
    for code in codes_of(first[:-1]):
        assert not watch.repeats(code[None])
    assert watch.repeats(codes_of(first)[-1:])


def test_what_varies_is_no_repetition(watch):
    """A sound that is held is not, nor a longer pattern."""
    held = [7] * (MAX_REPEATED - 1) + [8]
    assert not watch.repeats(codes_of(held * 3))
    assert not watch.repeats(codes_of([n % 5 for n in range(400)]))


def test_silence_is_found(watch):
    """When it has lasted too long, over pieces too; what is quiet is not silent, and a sound begins it anew."""
    half = sound(MAX_SILENCE / 2, 0.1 * SILENCE)
    assert not watch.is_silent(sound(20, 2 * SILENCE))
    assert not watch.is_silent(half)
    assert not watch.is_silent(sound(0.1, 0.1))
    assert not watch.is_silent(half)
    assert not watch.is_silent(half[: -2 * FRAME])
    assert watch.is_silent(half)
    assert not watch.is_silent(np.zeros(0, np.float32))


@pytest.fixture
def make(make):
    """In float32, of the lengths that are drawn."""
    return functools.partial(make, dtype="float32", quantization="none", strict=True, force_tokens_per_char=None)


def drawn_again(monkeypatch, name):
    """Judge the first seed's speech alone by the real rule, told by how often a watch was made."""
    made = []
    real = runaway.RunawayDetector

    class Once(real):
        def __init__(self, **sizes):
            super().__init__(**sizes)
            self.judges = not made
            made.append(self)

    def rule(self, new):
        return self.judges and (getattr(real, name)(self, new) or True)

    setattr(Once, name, rule)
    monkeypatch.setattr("realtts_qwen3.speaking.RunawayDetector", Once)
    return made


@pytest.mark.parametrize("name", ["repeats", "is_silent"])
def test_a_runaway_is_spoken_again(make, monkeypatch, name):
    """Once, with a derived seed and a word about it."""
    made = drawn_again(monkeypatch, name)
    speech = make().generate("test.", seed=3)
    assert len(made) == 2
    assert speech.metrics.retries == 1
    assert any("spoken again" in warning for warning in speech.warnings)


@pytest.mark.full  # by default: test_a_runaway_is_spoken_again, and the detector by itself
def test_repetition_ends_a_request(make, monkeypatch):
    """Long before its cap; the same frames end neither a benchmark's speech nor what repeats less."""
    monkeypatch.setattr("realtts_qwen3.speaking.frames_of", repeating)
    speech = make(retry_runaway=False).generate(TEXT, seed=3, do_sample=False)
    assert speech.finish_reason == "length"
    assert len(speech.samples) == (MAX_REPEATED + 1) * FRAME
    forced = make(force_tokens_per_char=1.0).generate(TEXT, seed=3, do_sample=False)
    assert len(forced.samples) == len(TEXT) * FRAME


def repeating(block):
    """The new frames of a row, but all first codes are the same."""
    return torch.cat([torch.full_like(block.outputs[:, :1], 5), block.outputs[:, 1:]], 1)


def fading():
    """As the codec decodes, but silent from the fifth frame on."""
    real = CodecDecoder.push

    def push(self, state, codes):
        heard = 4 - state.past
        samples = real(self, state, codes)
        rows = samples.view(state.rows, -1, self.samples_per_frame)
        silent = torch.arange(rows.shape[1]) >= heard[:, None]
        return torch.where(silent[..., None], 1e-5 * rows, rows).view(samples.shape)

    return push


@pytest.mark.full  # by default: test_a_runaway_is_spoken_again, and the detector by itself
def test_silence_ends_a_request(make, monkeypatch):
    """In a stream, too, and the other rows of a batch go on."""
    monkeypatch.setattr(CodecDecoder, "push", fading())
    most = (round(MAX_SILENCE * RATE / FRAME) + 4) * FRAME
    tts = make(retry_runaway=False)
    live = np.concatenate([chunk.samples for chunk in tts.stream(TEXT, seed=3)])
    assert most <= len(live) <= most + 16 * FRAME
    together = tts.generate_batch([TEXT, "the test."], seed=3)
    assert together[0].finish_reason == "length"
    assert most <= len(together[0].samples) <= most + 16 * FRAME
    assert 0 < len(together[1].samples) < most
