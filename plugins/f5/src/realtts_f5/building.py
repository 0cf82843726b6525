"""Upstream's networks without memory for their weights, and filled with a checkpoint's.

Upstream builds them with random weights first and copies the file's over them, so that all weights lie in memory
twice. Here a weight that nobody has filled lies on the device "meta"; what the constructors compute (positions,
rotary frequencies, windows, mel filters) is computed as ever.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.tensorfile import shapes_of
from realtts.accel.upstream import Unfilled
from realtts.errors import CheckpointMismatch
from realtts_f5.sizes import HEAD_SIZE, MELS
from realtts_f5.upstream import module, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.accel.tensorfile import State
    from realtts_f5.sizes import Architecture

__all__ = ["FIX", "MEL_SETTINGS", "check_vocabulary", "empty_model", "empty_vocoder"]

FIX = "check that the file is of the configuration that was named"
"""What to do about a file of another model."""

MEL_SETTINGS = {
    "n_fft": 1024,
    "hop_length": 256,
    "win_length": 1024,
    "n_mel_channels": MELS,
    "target_sample_rate": 24_000,
    "mel_spec_type": "vocos",
}
"""Of the mel spectrogram that all published models were trained on."""

_EMBEDDING = "transformer.text_embed.text_embed.weight"


def empty_model(architecture: Architecture, symbols: int) -> Any:
    """Upstream's ``CFM`` around its ``DiT`` or ``UNetT``.

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
        return cfm(transformer=backbone(**sizes), mel_spec_kwargs=MEL_SETTINGS, odeint_kwargs={"method": "euler"})


def empty_vocoder(shapes: Mapping[str, tuple[int, ...]], who: str) -> Any:
    """Upstream's vocoder, always of the same three classes; its sizes are those of the tensors.

    Args:
        shapes: Of the file's tensors.
        who: The file, for messages.

    Raises:
        CheckpointMismatch: They are not of such a vocoder.
    """
    layers = {int(found[1]) for name in shapes if (found := re.match(r"backbone\.convnext\.(\d+)\.", name))}
    try:
        dim, mels, _ = shapes["backbone.embed.weight"]
        inner, _ = shapes["backbone.convnext.0.pwconv1.weight"]
        rows, _ = shapes["head.out.weight"]
    except (KeyError, ValueError) as error:
        raise mismatch(f"it is not Vocos over a mel spectrogram: {error}", who) from error
    if (mels, rows) != (MELS, 1026):
        raise mismatch(f"it has {mels} bands and {rows} outputs, not {MELS} and 1026", who)
    pretrained, heads, models = module("vocos.pretrained"), module("vocos.heads"), module("vocos.models")
    features = module("vocos.feature_extractors").MelSpectrogramFeatures
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        return pretrained.Vocos(
            features(sample_rate=24_000, n_fft=1024, hop_length=256, n_mels=MELS, padding="center"),
            models.VocosBackbone(input_channels=MELS, dim=dim, intermediate_dim=inner, num_layers=len(layers)),
            heads.ISTFTHead(dim=dim, n_fft=1024, hop_length=256, padding="center"),
        )


def check_vocabulary(state: State, symbols: int, vocabulary: str, who: str) -> None:
    """Refuse a vocabulary of another size than the model was trained with.

    Args:
        state: Of the model's file.
        symbols: In the vocabulary.
        vocabulary: Its name, for messages.
        who: The model's file, for messages.

    Raises:
        CheckpointMismatch: It has another size, or the model has no embedding of text.
    """
    shape = shapes_of(state).get(_EMBEDDING)
    if shape is None:
        raise mismatch(f"the tensor {_EMBEDDING} is missing", who)
    if shape[0] != symbols + 1:
        raise CheckpointMismatch(
            f"the model was trained with {shape[0] - 1} symbols, and {vocabulary} has {symbols}", who=who,
            fix="put the vocabulary that it was trained with beside it, as vocab.txt",
        )  # fmt: skip


def mismatch(what: str, who: str) -> CheckpointMismatch:
    """The error for a file of another model."""
    return CheckpointMismatch(what, who=who, fix=FIX)
