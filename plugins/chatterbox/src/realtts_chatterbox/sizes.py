"""Sizes of a checkpoint's networks, read off the shapes of its tensors: the files carry no configuration.

Upstream fixes all sizes in its code. Read here are those that smaller networks for tests change; all others must be
upstream's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.accel.weights.state_reader import children
from realtts.kit.reading import mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    Shapes = Mapping[str, tuple[int, ...]]

__all__ = ["HEAD_SIZE", "S3GenSizes", "T3Sizes", "s3gen_sizes", "t3_sizes"]

HEAD_SIZE = 64


@dataclass(frozen=True)
class T3Sizes:
    """Sizes of T3.

    Attributes:
        layers: Layers of the backbone.
        hidden: Width.
        heads: Attention heads of 64 channels each; with Llama's backbone 64 x heads need not be the width.
        intermediate: Width inside the MLP.
        text_vocabulary: Number of text tokens.
        speech_vocabulary: Number of speech tokens, special ones included.
    """

    layers: int = 30
    hidden: int = 1024
    heads: int = 16
    intermediate: int = 4096
    text_vocabulary: int = 704
    speech_vocabulary: int = 8194


@dataclass(frozen=True)
class S3GenSizes:
    """Sizes of S3Gen.

    Attributes:
        tokenizer_layers: Layers of the speech tokenizer.
        tokenizer_width: Width of the speech tokenizer.
        encoder_layers: Layers of the flow's encoder before the upsampling.
        up_layers: Layers of the flow's encoder after it.
        mid_blocks: Middle blocks of the flow's estimator.
        blocks: Transformer blocks in each of the estimator's blocks.
        vocoder_width: Channels of the vocoder before its first upsampling.
        encoder_width: Width of the flow's encoder.
        encoder_heads: Attention heads of the flow's encoder.
        encoder_inner: Width inside the encoder's feed-forward networks.
        estimator_width: Channels of the flow's estimator.
        estimator_heads: Attention heads of the estimator, of 64 channels each.
        pitch_width: Channels of the vocoder's pitch predictor.
        speaker_width: Channels of the speaker encoder's first layer in time.
        speaker_growth: Channels that each of its later layers adds.
    """

    tokenizer_layers: int = 6
    tokenizer_width: int = 1280
    encoder_layers: int = 6
    up_layers: int = 4
    mid_blocks: int = 12
    blocks: int = 4
    vocoder_width: int = 512
    encoder_width: int = 512
    encoder_heads: int = 8
    encoder_inner: int = 2048
    estimator_width: int = 256
    estimator_heads: int = 8
    pitch_width: int = 512
    speaker_width: int = 128
    speaker_growth: int = 32


def t3_sizes(shapes: Shapes, kind: str, who: str = "T3") -> T3Sizes:
    """Read the sizes of a T3 off the shapes of its tensors.

    Raises:
        CheckpointMismatch: A tensor that a size is read off is missing, or has another number of dimensions.
    """
    text, hidden = _shape(shapes, "text_emb.weight", who, 2)
    speech = _shape(shapes, "speech_emb.weight", who, 2)[0]
    if kind == "turbo":
        layers = children(shapes, "tfmr.h.")
        intermediate = _shape(shapes, "tfmr.h.0.mlp.c_fc.weight", who, 2)[1]
        heads = hidden // HEAD_SIZE
    else:
        layers = children(shapes, "tfmr.layers.")
        intermediate = _shape(shapes, "tfmr.layers.0.mlp.gate_proj.weight", who, 2)[0]
        heads = _shape(shapes, "tfmr.layers.0.self_attn.q_proj.weight", who, 2)[0] // HEAD_SIZE
    return T3Sizes(layers, hidden, heads, intermediate, text, speech)


def s3gen_sizes(shapes: Shapes, who: str = "S3Gen") -> S3GenSizes:
    """Read the sizes of an S3Gen off the shapes of its tensors.

    Raises:
        CheckpointMismatch: A tensor that a size is read off is missing or empty, or has another number of dimensions;
            or the heads do not divide the width.
    """
    encoder, estimator, speaker = "flow.encoder.", "flow.decoder.estimator.", "speaker_encoder.xvector."
    width = _shape(shapes, "flow.input_embedding.weight", who, 2)[1]
    heads = _shape(shapes, encoder + "encoders.0.self_attn.pos_bias_u", who, 2)[0]
    if width % heads:
        raise mismatch(f"flow.input_embedding.weight has {width} channels, which {heads} heads cannot share", who)
    return S3GenSizes(
        tokenizer_layers=children(shapes, "tokenizer.encoder.blocks."),
        tokenizer_width=_shape(shapes, "tokenizer.encoder.conv1.weight", who, 3)[0],
        encoder_layers=children(shapes, encoder + "encoders."),
        up_layers=children(shapes, encoder + "up_encoders."),
        mid_blocks=children(shapes, estimator + "mid_blocks."),
        blocks=children(shapes, estimator + "down_blocks.0.1."),
        vocoder_width=_shape(shapes, "mel2wav.conv_pre.bias", who, 1)[0],
        encoder_width=width,
        encoder_heads=heads,
        encoder_inner=_shape(shapes, encoder + "encoders.0.feed_forward.w_1.weight", who, 2)[0],
        estimator_width=_shape(shapes, estimator + "final_proj.weight", who, 3)[1],
        estimator_heads=_shape(shapes, estimator + "down_blocks.0.1.0.attn1.to_q.weight", who, 2)[0] // HEAD_SIZE,
        pitch_width=_shape(shapes, "mel2wav.f0_predictor.classifier.weight", who, 2)[1],
        speaker_width=_shape(shapes, speaker + "tdnn.linear.weight", who, 3)[0],
        speaker_growth=_shape(shapes, speaker + "block1.tdnnd1.cam_layer.linear_local.weight", who, 3)[0],
    )


def _shape(shapes: Shapes, name: str, who: str, dimensions: int) -> tuple[int, ...]:
    if name not in shapes:
        raise mismatch(f"the tensor {name} is missing", who)
    if len(shapes[name]) != dimensions:
        raise mismatch(f"{name} has the shape {shapes[name]}, expected {dimensions} dimensions", who)
    if 0 in shapes[name]:
        raise mismatch(f"{name} has the shape {shapes[name]}: it is empty", who)
    return shapes[name]
