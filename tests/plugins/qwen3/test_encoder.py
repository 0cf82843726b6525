"""Recordings to codes: upstream's, each and every one."""

from __future__ import annotations

import pytest
import torch

from realtts.errors import CheckpointMismatch
from realtts_qwen3.encoder import CodecEncoder

MODEL = "0.6b-base"


@pytest.fixture(scope="module")
def parts(weights_of):
    """Configuration and tensors of the encoder."""
    weights = weights_of(MODEL)
    return weights.codec.encoder, weights.states.encoder


@pytest.fixture(scope="module")
def ours(parts):
    """Our encoder."""
    return CodecEncoder.from_state_dict(*parts)


def recording_of(samples, seed=0):
    """Noise whose loudness changes."""
    draw = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(samples, generator=draw) * (1 + torch.arange(samples).div(3000).sin())


@pytest.mark.parametrize("samples", [1, 1919, 1920, 1921, 5000, 48_123, 24_000 * 12 + 7])
def test_codes_are_upstreams(upstream_of, ours, samples) -> None:
    """At any length, and over more than the window in the configuration, which transformers does not heed."""
    upstream = upstream_of(MODEL).model.speech_tokenizer
    wave = recording_of(samples, samples)
    codes = ours.codes(wave)
    assert codes.shape == (-(-samples // 1920), 16)
    assert codes.dtype == torch.int64
    with torch.inference_mode():
        expected = upstream.encode(wave.numpy(), sr=24_000).audio_codes[0]
    assert torch.equal(codes, expected)


def test_codes_of_a_voice_are_upstreams(upstream_of, ours, recording) -> None:
    """Of a sound like a voice, which gives more than a few codes."""
    wave, rate = recording
    with torch.inference_mode():
        expected = upstream_of(MODEL).model.speech_tokenizer.encode(wave, sr=rate).audio_codes[0]
    codes = ours.codes(torch.from_numpy(wave))
    assert torch.equal(codes, expected)
    assert len(codes.unique()) > 50


def test_wrong_tensors_are_refused_by_name(parts) -> None:
    """Missing ones among those of quantizers that are not used, misshapen and unexpected ones."""
    config, lazy = parts
    state = {name: lazy[name] for name in lazy}
    name = "quantizer.acoustic_residual_vector_quantizer.layers.30.codebook.embed_sum"
    with pytest.raises(CheckpointMismatch, match=f"{name} is missing"):
        CodecEncoder.from_state_dict(config, {key: state[key] for key in state if key != name})
    with pytest.raises(CheckpointMismatch, match=r"downsample\.conv\.weight has the shape"):
        CodecEncoder.from_state_dict(config, {**state, "downsample.conv.weight": torch.zeros(1)})
    with pytest.raises(CheckpointMismatch, match=r"unexpected.*upsample\.conv\.weight"):
        CodecEncoder.from_state_dict(config, {**state, "upsample.conv.weight": torch.zeros(1)})
