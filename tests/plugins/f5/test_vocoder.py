"""Spectrograms of samples and samples of spectrograms: upstream's numbers."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("f5_tts")

import torch

from realtts.accel.upstream.calls import quiet
from realtts.errors import CheckpointMismatch
from realtts_f5.constants import HOP
from realtts_f5.mel import log_mel
from realtts_f5.upstream import module
from realtts_f5.vocoder import Vocoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def upstream():
    """Vocos with random weights, small."""
    features = module("vocos.feature_extractors").MelSpectrogramFeatures
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = module("vocos.pretrained").Vocos(
            features(sample_rate=24_000, n_fft=1024, hop_length=256, n_mels=100, padding="center"),
            module("vocos.models").VocosBackbone(input_channels=100, dim=64, intermediate_dim=96, num_layers=3),
            module("vocos.heads").ISTFTHead(dim=64, n_fft=1024, hop_length=256, padding="center"),
        )
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return made.eval()


@pytest.fixture
def vocoder(upstream):
    """Ours with the same weights."""
    return Vocoder(upstream.state_dict(), CPU)


def mel_of(frames, seed=0):
    """A made-up spectrogram."""
    return torch.randn(frames, 100, generator=torch.Generator().manual_seed(seed)) * 2 - 3


@pytest.mark.parametrize("frames", [2, 17, 200])
def test_samples_are_upstreams(upstream, vocoder, frames):
    """Of any length."""
    mel = mel_of(frames)
    output = vocoder.samples(mel)
    assert output.dtype is torch.float32
    assert output.shape == (HOP * (frames - 1),)
    torch.testing.assert_close(output, upstream.decode(mel.T[None])[0], atol=1e-5, rtol=0)


def test_samples_depend_on_few_frames(vocoder):
    """What lies beyond the context changes nothing, so that a stretch can be computed by itself."""
    mel, context = mel_of(120), vocoder.context
    other = mel.clone()
    other[60 + context :] = mel_of(120, seed=1)[60 + context :]
    end = 60 * HOP
    torch.testing.assert_close(vocoder.samples(other)[:end], vocoder.samples(mel)[:end], atol=1e-6, rtol=0)
    other[60 + context - 5] += 30
    assert not torch.allclose(vocoder.samples(other)[:end], vocoder.samples(mel)[:end], atol=1e-6)


def test_weights_of_another_vocoder_are_refused(upstream):
    """By the tensor's name; the window, which follows from its size, may be missing."""
    state = dict(upstream.state_dict())
    mel = mel_of(9)
    expected = Vocoder(state, CPU).samples(mel)
    without = {name: tensor for name, tensor in state.items() if name != "head.istft.window"}
    assert torch.equal(Vocoder(without, CPU).samples(mel), expected)
    with pytest.raises(CheckpointMismatch, match=r"voc\.bin: the tensor head\.out\.bias is missing"):
        Vocoder({n: t for n, t in state.items() if n != "head.out.bias"}, CPU, "voc.bin")
    with pytest.raises(CheckpointMismatch, match="has the shape"):
        Vocoder({**state, "head.out.weight": torch.zeros(10, 64)}, CPU)
    with pytest.raises(CheckpointMismatch, match="unexpected"):
        Vocoder({**state, "backbone.norm.scale.weight": torch.zeros(4, 64)}, CPU)


@pytest.mark.parametrize("count", [600, 24_000, 70_001])
def test_the_spectrogram_is_upstreams(count):
    """Of noise, of a tone and of silence."""
    noise = torch.randn(count, generator=torch.Generator().manual_seed(0)) * 0.1
    tone = torch.sin(torch.arange(count) * 0.05) * 0.3
    with quiet():
        extract = module("f5_tts.model.modules").get_vocos_mel_spectrogram
        for samples in (noise, tone, torch.zeros(count)):
            output, expected = log_mel(samples), extract(samples[None])[0].T
            assert output.shape == (1 + count // HOP, 100)
            torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)
