"""The vocoder's convolutions as graphs: the eager way's samples, although it looks ahead and lengths are padded."""

from __future__ import annotations

import pytest
import torch

from realtts.accel.graphs.cuda_graph import CudaGraphs
from realtts.testing.recording import RecordingGraphs
from realtts_chatterbox.noise import Noise
from realtts_chatterbox.streaming import SampleStream
from realtts_chatterbox.vocoder import Vocoder, faded
from realtts_chatterbox.vocoder_body import Body, Zeros

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def state(networks_of):
    """Weights of a vocoder that hears voiced frames."""
    return networks_of("english").s3gen.mel2wav.state_dict()


@pytest.fixture(scope="module")
def eager(state):
    """Without graphs."""
    return Vocoder.from_state_dict(state, device=CPU)


@pytest.fixture
def graphed(state):
    """With graphs that are recorded, and the recorder."""
    backend = RecordingGraphs()
    return Vocoder.from_state_dict(state, device=CPU, backend=backend), backend


def mel_of(frames):
    """A made-up spectrogram."""
    return torch.randn(80, frames, generator=torch.Generator().manual_seed(frames))


def near(found, expected):
    """The same samples."""
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    "frames", [1, 124, 125, *(pytest.param(frames, marks=pytest.mark.full) for frames in (2, 60, 123, 128, 130, 300))]
)
def test_samples_are_the_eager_ones(eager, graphed, frames):
    """To the last one, where padding would be heard, on both sides of the end of a bucket."""
    vocoder, backend = graphed
    mel, noise = mel_of(frames), Noise(frames)
    samples = vocoder.samples(mel, noise)
    assert samples.shape == (480 * frames,)
    near(samples, eager.samples(mel, noise))
    assert backend.captures == 1


def test_padding_without_zeros_would_be_heard(state):
    """What the zeros are for: without them the end of a padded sequence differs, with them nothing does."""
    full = Vocoder.from_state_dict(state, device=CPU)
    body = full._body
    assert isinstance(body, Body)
    mel, excitation = mel_of(20), torch.randn(1, 18, 120 * 20 + 1)
    padded = torch.nn.functional.pad(mel, (0, body.slack)), torch.nn.functional.pad(excitation, (0, 120 * body.slack))
    with torch.inference_mode():
        expected = body(mel, excitation)
        length = expected.shape[2]
        near(body(*padded, Zeros(torch.tensor(20), body.resolutions))[..., :length], expected)
        assert (body(*padded)[..., :length] - expected).abs().max() > 1e-3


def test_replay_after_another_length(eager, graphed):
    """A shorter request behind a longer one finds none of its sound."""
    vocoder, backend = graphed
    for frames in (124, 7, 140):
        mel, noise = mel_of(frames), Noise(frames)
        near(vocoder.samples(mel, noise), eager.samples(mel, noise))
    assert backend.captures == 2


@pytest.mark.full  # by default: test_replay_after_another_length
def test_captures_are_bounded(graphed):
    """Over six lengths."""
    vocoder, backend = graphed
    for frames in (10, 50, 90, 124, 130, 155):
        vocoder.samples(mel_of(frames), Noise(1))
    assert backend.captures == 2


@pytest.mark.parametrize(("frames", "at_once"), [(40, 7), pytest.param(150, 60, marks=pytest.mark.full)])
def test_streams_are_the_whole(eager, graphed, frames, at_once):
    """Stretches are padded too."""
    vocoder, _ = graphed
    mel, noise = mel_of(frames), Noise(1)
    stream = SampleStream(vocoder, noise)
    parts = mel.split(at_once, 1)
    found = torch.cat([stream.push(part, final=part is parts[-1]) for part in parts])
    torch.testing.assert_close(found, faded(eager.samples(mel, noise)), rtol=0, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_samples_are_the_eager_ones_on_the_device(state, monkeypatch):
    """With real graphs, several lengths, twice each, without TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    device = torch.device("cuda")
    eager = Vocoder.from_state_dict(state, device=device)
    graphed = Vocoder.from_state_dict(state, device=device, backend=CudaGraphs(device))
    for frames in (2, 124, 125, 300, 124, 2):
        mel, noise = mel_of(frames), Noise(frames)
        torch.testing.assert_close(graphed.samples(mel, noise), eager.samples(mel, noise), rtol=0, atol=1e-4)
