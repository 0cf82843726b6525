"""How large a checkpoint's networks are, read off the shapes of its tensors: the files carry no configuration.

Upstream fixes all sizes in its code. Those that a smaller network for tests changes are found here; all else must be
as upstream has it.
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
    """Of T3.

    Attributes:
        layers: Of the backbone.
        hidden: Width.
        heads: Of attention, of 64 each; with Llama's backbone 64 x heads need not be the width.
        intermediate: Width inside the MLP.
        text_vocabulary: Text tokens.
        speech_vocabulary: Speech tokens, special ones included.
    """

    layers: int = 30
    hidden: int = 1024
    heads: int = 16
    intermediate: int = 4096
    text_vocabulary: int = 704
    speech_vocabulary: int = 8194


@dataclass(frozen=True)
class S3GenSizes:
    """Of S3Gen; a part that the file lacks keeps upstream's.

    Attributes:
        tokenizer_layers: Of the speech tokenizer.
        tokenizer_width: Its width.
        encoder_layers: Of the flow's encoder before the upsampling.
        up_layers: After it.
        mid_blocks: Of the flow's estimator.
        blocks: Transformer blocks in each of the estimator's blocks.
        vocoder_width: Channels of the vocoder before its first upsampling.
    """

    tokenizer_layers: int = 6
    tokenizer_width: int = 1280
    encoder_layers: int = 6
    up_layers: int = 4
    mid_blocks: int = 12
    blocks: int = 4
    vocoder_width: int = 512


def t3_sizes(shapes: Shapes, kind: str, who: str = "T3") -> T3Sizes:
    """Of the T3 with tensors of these shapes.

    Raises:
        CheckpointMismatch: A tensor that they are read off is missing.
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
    """Of the S3Gen with tensors of these shapes.

    Raises:
        CheckpointMismatch: A tensor that they are read off is missing.
    """
    estimator = "flow.decoder.estimator."
    return S3GenSizes(
        tokenizer_layers=children(shapes, "tokenizer.encoder.blocks."),
        tokenizer_width=_shape(shapes, "tokenizer.encoder.conv1.weight", who, 3)[0],
        encoder_layers=children(shapes, "flow.encoder.encoders."),
        up_layers=children(shapes, "flow.encoder.up_encoders."),
        mid_blocks=children(shapes, estimator + "mid_blocks."),
        blocks=children(shapes, estimator + "down_blocks.0.1."),
        vocoder_width=_shape(shapes, "mel2wav.conv_pre.bias", who, 1)[0],
    )


def _shape(shapes: Shapes, name: str, who: str, dimensions: int) -> tuple[int, ...]:
    if name not in shapes:
        raise mismatch(f"the tensor {name} is missing", who)
    if len(shapes[name]) != dimensions:
        raise mismatch(f"{name} has the shape {shapes[name]}, expected {dimensions} dimensions", who)
    return shapes[name]
