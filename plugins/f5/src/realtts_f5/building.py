"""Upstream's networks without memory for their weights, and filled with a checkpoint's.

Upstream builds them with random weights first and copies the file's over them, so that all weights lie in memory
twice. Here a weight that nobody has filled lies on the device "meta"; what the constructors compute (positions,
rotary frequencies, windows, mel filters) is computed as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.calls import quiet
from realtts.accel.upstream.networks import Unfilled, fill
from realtts.accel.weights.state_reader import children
from realtts.accel.weights.tensorfile import shapes_of
from realtts.kit.reading import mismatch
from realtts_f5.configurations import FIX
from realtts_f5.constants import FFT, HOP, MELS, RATE, SPECTRUM
from realtts_f5.sizes import COMPUTED, HEAD_SIZE
from realtts_f5.upstream import module

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts_f5.loading import Weights
    from realtts_f5.sizes import Architecture

__all__ = ["VOCODER_COMPUTED", "empty_model", "empty_vocoder", "model_of", "vocoder_of"]

VOCODER_COMPUTED = ("window", "mel_scale.fb")
"""Endings of names that the vocoder's file may lack: the constructors compute these tensors."""


def model_of(weights: Weights, device: str) -> Any:
    """Build ``CFM`` of the checkpoint, float32, in evaluation mode.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
        CheckpointCorrupt: A tensor cannot be read.
        MissingExtra: f5-tts is not installed.
    """
    network = empty_model(weights.architecture, len(weights.vocabulary))
    who = f"file {weights.model_file!r}"
    fill(network, weights.model_state, device, who, computed=COMPUTED, fix=FIX)
    return network


def vocoder_of(weights: Weights, device: str) -> Any:
    """Build ``Vocos`` of the checkpoint, as `model_of`."""
    state, who = weights.vocoder_state, f"file {weights.vocoder_file!r}"
    network = empty_vocoder(shapes_of(state), who)
    fill(network, state, device, who, computed=VOCODER_COMPUTED)
    return network


def empty_model(architecture: Architecture, symbols: int) -> Any:
    """Build upstream's ``CFM`` around its ``DiT`` or ``UNetT``, without memory for weights.

    Args:
        architecture: Shape of the network.
        symbols: In the vocabulary; the embedding has a row more, for filler.
    """
    sizes: dict[str, Any] = {
        "dim": architecture.dim,
        "depth": architecture.depth,
        "heads": architecture.heads,
        "dim_head": HEAD_SIZE,
        "ff_mult": architecture.ff_mult,
        "text_dim": architecture.text_dim,
        "conv_layers": architecture.conv_layers,
        "text_mask_padding": architecture.text_mask_padding,
        "pe_attn_head": architecture.rotary_heads,
        "mel_dim": MELS,
        "text_num_embeds": symbols,
    }
    name, cls = ("dit", "DiT") if architecture.backbone == "dit" else ("unett", "UNetT")
    cfm = module("f5_tts.model.cfm").CFM
    backbone = getattr(module(f"f5_tts.model.backbones.{name}"), cls)
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        return cfm(transformer=backbone(**sizes), mel_spec_kwargs=SPECTRUM, odeint_kwargs={"method": "euler"})


def empty_vocoder(shapes: Mapping[str, tuple[int, ...]], who: str) -> Any:
    """Build upstream's vocoder, always of the same three classes; its sizes are those of the tensors.

    Args:
        shapes: Of the file's tensors.
        who: The file, for messages.

    Raises:
        CheckpointMismatch: They are not of such a vocoder.
    """
    layers = children(shapes, "backbone.convnext.")
    try:
        dim, mels, _ = shapes["backbone.embed.weight"]
        inner, _ = shapes["backbone.convnext.0.pwconv1.weight"]
        rows, _ = shapes["head.out.weight"]
    except (KeyError, ValueError) as error:
        raise mismatch(f"it is not Vocos over a mel spectrogram: {error}", who) from error
    if (mels, rows) != (MELS, FFT + 2):
        raise mismatch(f"it has {mels} bands and {rows} outputs, not {MELS} and {FFT + 2}", who)
    pretrained, heads, models = module("vocos.pretrained"), module("vocos.heads"), module("vocos.models")
    features = module("vocos.feature_extractors").MelSpectrogramFeatures
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        return pretrained.Vocos(
            features(sample_rate=RATE, n_fft=FFT, hop_length=HOP, n_mels=MELS, padding="center"),
            models.VocosBackbone(input_channels=MELS, dim=dim, intermediate_dim=inner, num_layers=layers),
            heads.ISTFTHead(dim=dim, n_fft=FFT, hop_length=HOP, padding="center"),
        )
