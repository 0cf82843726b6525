"""Recordings to speaker embeddings: upstream's numbers."""

from __future__ import annotations

import pytest
import torch

from realtts.errors import CheckpointMismatch
from realtts_qwen3.speaker import SHORTEST, SpeakerEncoder

MODELS = ("0.6b-base", "1.7b-base")


def parts_of(weights):
    """Sizes and tensors of the speaker encoder."""
    return weights.sizes.speaker_encoder, weights.states.speaker_encoder


@pytest.mark.parametrize("model", [MODELS[0], pytest.param(MODELS[1], marks=pytest.mark.full)])
@pytest.mark.parametrize("samples", [SHORTEST, 12_345, 48_700])
def test_embeddings_are_upstreams(upstream_of, weights_of, recording, model, samples) -> None:
    """Down to the shortest recording; 1e-5 of the embedding's length."""
    weights, wave = weights_of(model), recording[0][:samples]
    embedding = SpeakerEncoder.from_state_dict(*parts_of(weights)).embedding(torch.from_numpy(wave))
    upstream = upstream_of(model).model
    before = {name: tensor.dtype for name, tensor in upstream.speaker_encoder.state_dict().items()}
    assert set(before.values()) == {torch.float32}
    expected = upstream.extract_speaker_embedding(wave, 24_000)
    assert embedding.shape == expected.shape
    assert float((embedding - expected).norm()) <= 1e-5 * float(expected.norm())


def test_recordings_of_different_voices_differ(weights_of, recording) -> None:
    """The embedding says something."""
    encoder = SpeakerEncoder.from_state_dict(*parts_of(weights_of(MODELS[0])))
    wave = torch.from_numpy(recording[0])
    low, high = encoder.embedding(wave), encoder.embedding(wave[::2].contiguous())
    assert float((low - high).norm()) > 1e-3 * float(low.norm())


def test_wrong_tensors_are_refused_by_name(weights_of) -> None:
    """Missing, misshapen and unexpected ones."""
    sizes, lazy = parts_of(weights_of(MODELS[0]))
    state = {name: lazy[name] for name in lazy}
    name = "blocks.1.res2net_block.blocks.0.conv.weight"
    with pytest.raises(CheckpointMismatch, match=f"{name} is missing"):
        SpeakerEncoder.from_state_dict(sizes, {key: state[key] for key in state if key != name})
    with pytest.raises(CheckpointMismatch, match=r"fc\.weight has the shape"):
        SpeakerEncoder.from_state_dict(sizes, {**state, "fc.weight": torch.zeros(1)})
    with pytest.raises(CheckpointMismatch, match=r"unexpected.*fc\.more"):
        SpeakerEncoder.from_state_dict(sizes, {**state, "fc.more": torch.zeros(1)})
