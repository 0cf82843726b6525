"""Upstream's networks around a checkpoint's tensors, filled by name, without a second copy of the weights.

Upstream's ``from_pretrained`` goes on when tensors are missing or unexpected. Here a weight that was not filled stays
on the device "meta", where computing with it is an error; buffers that the constructors compute (rotary frequencies,
windows) are computed as upstream does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.calls import quiet
from realtts.accel.upstream.networks import Unfilled, fill
from realtts_qwen3.upstream import module

if TYPE_CHECKING:
    from realtts_qwen3.loading import Weights

__all__ = ["codec_of", "model_of"]

_WHO = "qwen-tts"
"""For errors: what does not fit its networks is their change, because the files themselves are checked before."""


def model_of(weights: Weights, device: str) -> Any:
    """Build upstream's ``Qwen3TTSForConditionalGeneration``, float32, in evaluation mode, without its codec.

    Raises:
        CheckpointMismatch: Upstream's networks have other tensors than the checkpoint.
        CheckpointCorrupt: A tensor cannot be read.
        MissingExtra: qwen-tts is not installed.
    """
    upstream = module("qwen_tts.core.models.modeling_qwen3_tts")
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        config = upstream.Qwen3TTSConfig(**dict(weights.sizes.config))
        network = upstream.Qwen3TTSForConditionalGeneration(config)
    states = weights.states
    fill(network.talker, states.talker, device, _WHO)
    if states.speaker_encoder is not None:
        fill(network.speaker_encoder, states.speaker_encoder, device, _WHO)
    network.to(device).requires_grad_(requires_grad=False).eval()
    return network


def codec_of(weights: Weights, device: str) -> Any:
    """Build upstream's ``Qwen3TTSTokenizerV2Model``, float32, in evaluation mode.

    Raises:
        CheckpointMismatch: Upstream's networks have other tensors than the checkpoint.
        CheckpointCorrupt: A tensor cannot be read.
        MissingExtra: qwen-tts is not installed.
    """
    modeling = module("qwen_tts.core.tokenizer_12hz.modeling_qwen3_tts_tokenizer_v2")
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        network = modeling.Qwen3TTSTokenizerV2Model(modeling.Qwen3TTSTokenizerV2Config(**dict(weights.codec.config)))
    fill(network.decoder, weights.states.decoder, device, _WHO)
    fill(network.encoder, weights.states.encoder, device, _WHO)
    network.to(device).requires_grad_(requires_grad=False).eval()
    return network
