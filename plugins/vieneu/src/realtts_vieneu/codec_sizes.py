"""Sizes of the codec's networks, read from its ``config.json``, which transformers' ``NeuCodecConfig`` writes.

The repository that upstream's neucodec package reads has no such file: an empty mapping gives its one size. Defaults
are repeated here and not taken from ``NeuCodecConfig``, because the optimized variant does not import transformers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from realtts.errors import CheckpointMismatch
from realtts.kit.entries import MOST_LAYERS, check_supported, count, positive
from realtts.kit.reading import MALFORMED, reason_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GROUPS", "CodecSizes", "read_codec_sizes"]

GROUPS = 32
"""Groups of channels in the group norms."""

_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "model_type": "neucodec",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 12,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "head_dim": 64,
        "hidden_act": "silu",
        "attention_bias": False,
        "rms_norm_eps": 1e-6,
        "downsampling_ratios": (2, 2, 4, 4, 5),
        "quantization_dim": 2048,
        "quantization_levels": (4, 4, 4, 4, 4, 4, 4, 4),
        "input_sampling_rate": 16_000,
        "output_sampling_rate": 24_000,
    }
)
"""Defaults of transformers' configuration class, for entries that a file leaves out."""

_SEMANTIC = {"model_type": "wav2vec2-bert", "num_hidden_layers": 16, "hidden_size": 1024}
_WHO, _FIX = "codec", "fetch the codec again, or check that all files are of one codec"


@dataclass(frozen=True)
class CodecSizes:
    """Sizes of a codec, as in its ``config.json``.

    Attributes:
        hidden: Width of the decoder.
        intermediate: Width inside its MLPs.
        layers: Of its transformer.
        heads: Of attention.
        head_dim: Width of a head.
        attention_bias: Whether attention's projections have biases.
        norm_eps: Of the RMS norms.
        levels: Of each digit of a code.
        latent: Width of a quantized frame: the decoder's and the semantic encoder's together.
        semantic_layers: Of w2v-bert that are used.
        input_rate: Hz of recordings.
        output_rate: Hz of speech.
        frame: Samples of a recording that make one code.
        hop: Samples of speech that a code makes.
        config: Arguments of ``NeuCodecConfig``.
    """

    hidden: int
    intermediate: int
    layers: int
    heads: int
    head_dim: int
    attention_bias: bool
    norm_eps: float
    levels: tuple[int, ...]
    latent: int
    semantic_layers: int
    input_rate: int
    output_rate: int
    frame: int
    hop: int
    config: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def codes(self) -> int:
        """Number of codes."""
        return math.prod(self.levels)

    @property
    def fft(self) -> int:
        """Samples of the last layer's window."""
        return 4 * self.hop


def read_codec_sizes(config: Mapping[str, Any], who: str = _WHO) -> CodecSizes:
    """Read ``config.json``.

    Args:
        config: Its content; an empty mapping stands for upstream's own repository, which has none.
        who: The file, for messages.

    Raises:
        CheckpointMismatch: It is of another codec, or an entry is of a wrong type.
    """
    try:
        return _sizes({**_DEFAULTS, **config})
    except MALFORMED as error:
        raise CheckpointMismatch(f"it cannot be understood: {reason_of(error)}", who=who, fix=_FIX) from error


def _sizes(config: Mapping[str, Any]) -> CodecSizes:
    semantic = {**_SEMANTIC, **(config.get("semantic_model_config") or {})}
    _check(config, semantic)
    frame = math.prod(_counts(config, "downsampling_ratios"))
    heads, hidden = count(config, "num_attention_heads"), count(config, "hidden_size")
    return CodecSizes(
        hidden=hidden,
        intermediate=count(config, "intermediate_size"),
        layers=count(config, "num_hidden_layers", most=MOST_LAYERS),
        heads=heads,
        head_dim=count(config, "head_dim", hidden // heads),
        attention_bias=bool(config["attention_bias"]),
        norm_eps=positive(config, "rms_norm_eps"),
        levels=_counts(config, "quantization_levels"),
        latent=count(config, "quantization_dim"),
        semantic_layers=count(semantic, "num_hidden_layers", most=MOST_LAYERS),
        input_rate=count(config, "input_sampling_rate"),
        output_rate=count(config, "output_sampling_rate"),
        frame=frame,
        hop=frame * count(config, "output_sampling_rate") // count(config, "input_sampling_rate"),
        config=MappingProxyType({**config, "semantic_model_config": semantic}),
    )


def _check(config: Mapping[str, Any], semantic: Mapping[str, Any]) -> None:
    """Refuse a configuration that the networks here do not support.

    Raises:
        ValueError: Names the entry.
    """
    check_supported(config, {"model_type": "neucodec", "hidden_act": "silu"})
    if semantic["model_type"] != _SEMANTIC["model_type"]:
        raise ValueError(f"its semantic model is {semantic['model_type']!r}, only {_SEMANTIC['model_type']!r} is known")
    rope = (config.get("rope_parameters") or {}).get("rope_type", "default")
    if rope != "default":  # others may scale attention, which the decoder here would not see
        raise ValueError(f"rope_type is {rope!r}, only 'default' is supported")
    if count(config, "quantization_dim") != count(config, "hidden_size") + count(semantic, "hidden_size"):
        raise ValueError("quantization_dim is not the sum of both encoders' widths")
    if (config["num_key_value_heads"] or config["num_attention_heads"]) != config["num_attention_heads"]:
        raise ValueError("num_key_value_heads is not num_attention_heads, which transformers does not compute either")
    if count(config, "hidden_size") % GROUPS:
        raise ValueError(f"hidden_size is {config['hidden_size']}, not a multiple of {GROUPS}")


def _counts(config: Mapping[str, Any], name: str) -> tuple[int, ...]:
    values = config[name]
    if not isinstance(values, (list, tuple)) or not 1 <= len(values) <= 64:
        raise ValueError(f"{name} is {values!r:.60}, no list of numbers")
    return tuple(count({name: value}, name, most=65_536) for value in values)
