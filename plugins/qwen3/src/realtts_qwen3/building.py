"""Upstream's networks around a checkpoint's tensors, filled by name, without a second copy of the weights.

Upstream's ``from_pretrained`` goes on when tensors are missing or unexpected. Here a weight that nobody has filled lies
on the device "meta", and what the constructors compute (rotary frequencies, windows) is computed as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.upstream import Unfilled, fill, quiet
from realtts_qwen3.upstream import module

if TYPE_CHECKING:
    from realtts_qwen3.loading import Weights

__all__ = ["codec_of", "model_of"]

_WHO = "qwen-tts"
"""Who wants other tensors, if they do not fit: the files themselves are checked before."""


def model_of(weights: Weights, device: str) -> Any:
    """Upstream's ``Qwen3TTSForConditionalGeneration``, float32, in evaluation mode, without its codec.

    Raises:
        CheckpointMismatch: Upstream wants other tensors than the checkpoint has.
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
    """Upstream's ``Qwen3TTSTokenizerV2Model``, float32, in evaluation mode.

    Raises:
        CheckpointMismatch: Upstream wants other tensors than the checkpoint has.
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
