"""The shape of a network: what upstream's configuration files say, and what a checkpoint's tensors cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["HEAD_SIZE", "MELS", "Architecture"]

MELS = 100
"""Bands of the mel spectrogram."""

HEAD_SIZE = 64
"""Width of an attention head, in every published configuration."""


@dataclass(frozen=True)
class Architecture:
    """A network of F5-TTS or E2-TTS.

    Two versions of F5-TTS have tensors of equal names and shapes, and differ in ``text_mask_padding`` and
    ``rotary_heads``: a configuration is named, never guessed. Source: ``configs/*.yaml`` of github.com/SWivid/F5-TTS.

    Attributes:
        backbone: ``dit`` (F5-TTS, Chen et al., 2024, arXiv:2410.06885) or ``unet`` (E2-TTS, Eskimez et al., 2024,
            arXiv:2406.18009).
        dim: Width of the residual stream.
        depth: Number of blocks.
        heads: Attention heads of `HEAD_SIZE`.
        ff_mult: Width of the feed-forward network over ``dim``.
        text_dim: Width of the text's embedding.
        conv_layers: ConvNeXt blocks over the text's embedding.
        text_mask_padding: Whether the filler after the text is kept zero (v1) or goes through those blocks (v0).
        rotary_heads: How many heads, from the first, are rotated; None: all (v1).
    """

    backbone: Literal["dit", "unet"]
    dim: int
    depth: int
    heads: int
    ff_mult: int
    text_dim: int
    conv_layers: int
    text_mask_padding: bool
    rotary_heads: int | None = None
