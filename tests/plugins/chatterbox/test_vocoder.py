"""Mel spectrograms to samples: upstream's numbers, voiced frames included."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from realtts.accel.upstream.calls import quiet
from realtts_chatterbox.constants import MELS
from realtts_chatterbox.noise import InjectedNoise, Noise
from realtts_chatterbox.vocoder import FADE, PITCH_CONTEXT, Vocoder, faded


@pytest.fixture(scope="module")
def networks(networks_of):
    """Upstream's vocoder and ours with the same weights."""
    upstream = networks_of("english").s3gen.mel2wav
    return upstream, Vocoder.from_state_dict(upstream.state_dict(), device=torch.device("cpu"))


def mel_of(frames, seed=0):
    """A made-up spectrogram."""
    return torch.randn(80, frames, generator=torch.Generator().manual_seed(seed))


def upstream_samples(upstream, mel, noise):
    """What upstream makes of a spectrogram."""
    with quiet(), InjectedNoise([noise], 0), torch.inference_mode():
        return upstream.inference(mel[None])[0][0]


@pytest.mark.parametrize("frames", [2, 41, 500])
def test_samples_are_upstreams(networks, frames):
    """From the same mel and noise, over ten seconds too, where the phases' sums have grown."""
    upstream, ours = networks
    mel, noise = mel_of(frames), Noise(frames)
    assert float(ours.pitch(mel).min()) > 20  # voiced
    samples = ours.samples(mel, noise)
    assert samples.shape == (480 * frames,)
    assert float(samples.std()) > 1e-3
    torch.testing.assert_close(samples, upstream_samples(upstream, mel, noise), rtol=0, atol=5e-5)


def test_unvoiced_and_voiced_frames_together(networks):
    """The source changes between breath and tone."""
    upstream, _ = networks
    state = {name: tensor.clone() for name, tensor in upstream.state_dict().items()}
    bias, weight = (state[f"f0_predictor.classifier.{kind}"] for kind in ("bias", "weight"))
    ours = Vocoder.from_state_dict(state, device=torch.device("cpu"))
    mel, noise = mel_of(60), Noise(3)
    middle = ours.pitch(mel).median()
    # the pitch spread about the threshold
    weight *= 3
    bias.copy_(10 - 3 * (middle - bias))
    changed = Vocoder.from_state_dict(state, device=torch.device("cpu"))
    voiced = changed.pitch(mel) > 10
    assert voiced.any()
    assert not voiced.all()
    before = {name: tensor.clone() for name, tensor in upstream.state_dict().items()}
    try:
        upstream.load_state_dict(state)
        expected = upstream_samples(upstream, mel, noise)
    finally:
        upstream.load_state_dict(before)
    torch.testing.assert_close(changed.samples(mel, noise), expected, rtol=0, atol=5e-5)


def test_pitch_sees_five_frames(networks):
    """So much context makes a stretch's pitch the whole's."""
    _, ours = networks
    mel = mel_of(40)
    part = ours.pitch(mel[:, 10:30])[PITCH_CONTEXT:-PITCH_CONTEXT]
    torch.testing.assert_close(part, ours.pitch(mel)[10 + PITCH_CONTEXT : 30 - PITCH_CONTEXT])


def test_source_goes_on(networks):
    """In two stretches it is what it is in one."""
    _, ours = networks
    pitch, noise = 100 + 50 * torch.rand(30), Noise(1)
    whole, _ = ours.source(pitch, noise, ours.start())
    first, phase = ours.source(pitch[:11], noise, ours.start())
    second, _ = ours.source(pitch[11:], noise, phase)
    torch.testing.assert_close(torch.cat([first, second]), whole)


def test_fade_is_upstreams(networks_of):
    """The first 40 ms, also when they come in pieces."""
    window = networks_of("english").s3gen.trim_fade
    assert len(window) == FADE
    samples = torch.rand(2000)
    expected = torch.cat([samples[:FADE] * window, samples[FADE:]])
    assert torch.equal(faded(samples), expected)
    pieces = [faded(samples[begin : begin + 300], begin) for begin in range(0, 2000, 300)]
    assert torch.equal(torch.cat(pieces), expected)
    assert not len(faded(samples[:0]))


def test_operations_are_those_that_torch_counts(networks) -> None:
    """But for the one sample that the spectrum is longer than the frames."""
    _, vocoder = networks
    mel = torch.zeros(MELS, 50)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        vocoder.pitch(mel)
        vocoder._body(mel, torch.zeros(1, 18, 120 * 50 + 1))
    assert counter.get_total_flops() == pytest.approx(vocoder.flops(50), rel=0.01)
    assert vocoder.flops(100) == 2 * vocoder.flops(50)


@pytest.mark.parametrize(
    ("device", "where"),
    [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda:1"), ("mps", "cpu"), ("meta", "cpu")],
)
def test_the_sources_noise_is_drawn_where_it_is_needed(monkeypatch, device, where):
    """On CUDA alone; where the flow starts, every device gets the CPU's."""
    made = {}

    def blocks(_seed, name, _width, device=None):
        made[name] = device or torch.device("cpu")

    monkeypatch.setattr("realtts_chatterbox.noise._Blocks", blocks)
    Noise(1, device)
    assert made == {"mel": torch.device("cpu"), "source": torch.device(where)}
