"""The shape of a network: what upstream's configuration files say, and what a checkpoint's tensors cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from realtts.kit.entries import MOST_LAYERS, check_supported, count, reading_entries
from realtts_f5.constants import MELS, SPECTRUM

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMPUTED", "HEAD_SIZE", "Architecture", "read_architecture"]

HEAD_SIZE = 64
"""Width of an attention head, in every published configuration."""

COMPUTED = ("rotary_embed.inv_freq",)
"""Tensors that upstream stores though they follow from the sizes: a file may lack them."""

_BACKBONES: dict[Any, Literal["dit", "unet"]] = {"DiT": "dit", "UNetT": "unet"}
"""Upstream's classes."""

_SUPPORTED = {
    "dim_head": HEAD_SIZE,
    "qk_norm": None,
    "long_skip_connection": False,
    "text_embedding_average_upsampling": False,
    "skip_connect_type": "concat",
}
"""What the published networks have, none of them another."""

_MISLABELLED = "F5TTS_v1_Small"
"""Upstream's own file of it names the tokenizer "char"; its inference reads all text as pinyin nevertheless."""


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

    def is_version_of(self, other: Architecture) -> bool:
        """Whether both are of the same version; sizes are shown by tensors."""
        mine, its = ((a.backbone, a.text_mask_padding, a.rotary_heads) for a in (self, other))
        return mine == its


def read_architecture(model: Mapping[str, Any], who: str) -> Architecture:
    """Read what upstream's configuration file says.

    Args:
        model: Its part ``model``.
        who: The file, for messages.

    Raises:
        CheckpointMismatch: An entry is missing or wrong, or is one that the published models have not.
    """
    with reading_entries(who):
        arch: Mapping[str, Any] = model["arch"]
        check_supported(model.get("mel_spec") or {}, SPECTRUM)
        check_supported(arch, _SUPPORTED)
        if model.get("name") != _MISLABELLED:
            check_supported(model, {"tokenizer": "pinyin"})
        if model["backbone"] not in _BACKBONES:
            raise ValueError(f"backbone is {model['backbone']!r}, only {' and '.join(_BACKBONES)} are supported")
        heads = arch.get("pe_attn_head")
        return Architecture(
            backbone=_BACKBONES[model["backbone"]],
            dim=count(arch, "dim"),
            depth=count(arch, "depth", most=MOST_LAYERS),
            heads=count(arch, "heads"),
            ff_mult=count(arch, "ff_mult", 4),
            text_dim=count(arch, "text_dim", MELS),
            conv_layers=count(arch, "conv_layers", 0, least=0, most=MOST_LAYERS),
            text_mask_padding=bool(arch.get("text_mask_padding", True)),
            rotary_heads=None if heads is None else count(arch, "pe_attn_head"),
        )
