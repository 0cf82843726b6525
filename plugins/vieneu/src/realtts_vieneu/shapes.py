"""Check a file's tensors by name and shape before any of them is read.

No table of shapes is kept here: of a language model the toolkit's decoder tells them, and of the codec its own network,
made of tensors on the device "meta", which have a shape and no memory. transformers' networks would tell the same (the
tests compare them), but the optimized variant speaks without importing transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import DecoderConfig
from realtts.accel.decoder.naming import naming_of
from realtts_vieneu.codec_body import Body
from realtts_vieneu.codec_names import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts_vieneu.codec_sizes import CodecSizes
    from realtts_vieneu.sizes import Sizes

    Shape = tuple[int, ...]

__all__ = ["EMBEDDING", "HEAD", "PREFIX", "check_codec", "model_shapes"]

PREFIX = "model."
"""What names of the decoder's tensors begin with."""

EMBEDDING = f"{PREFIX}embed_tokens.weight"
HEAD = "lm_head.weight"
"""A file may hold it although it is the embedding; transformers does not look at it then either."""


def model_shapes(sizes: Sizes) -> dict[str, Shape]:
    """Return the shapes of a language model's tensors by name; the head only where it is not the embedding."""
    config = DecoderConfig(
        layers=sizes.layers, hidden_size=sizes.hidden, heads=sizes.heads, kv_heads=sizes.kv_heads,
        head_dim=sizes.head_dim, mlp_size=sizes.intermediate, qkv_bias=sizes.family == "qwen2",
    )  # fmt: skip
    naming, layer = naming_of(config), naming_of(config).shapes(config)
    shapes = {EMBEDDING: (sizes.vocabulary, sizes.hidden), f"{PREFIX}{naming.norm}.weight": (sizes.hidden,)}
    for number in range(sizes.layers):
        shapes |= {f"{PREFIX}{naming.layers}{number}.{name}": shape for name, shape in layer.items()}
    return shapes if sizes.tied else {**shapes, HEAD: (sizes.vocabulary, sizes.hidden)}


def check_codec(sizes: CodecSizes, shapes: Mapping[str, Shape], who: str) -> None:
    """Check the tensors of the codec's file that decode; those of its encoder are checked when a recording is encoded.

    Args:
        sizes: Of the codec.
        shapes: Shapes of the file's tensors, by the names of transformers or of the neucodec package.
        who: The file, for messages.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
    """
    blank = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    Body(sizes, named(blank), device=torch.device("meta"), dtype=torch.float32, who=who)
