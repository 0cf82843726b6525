"""Sizes of a checkpoint's language model, read from its ``config.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from realtts.kit.entries import MOST_LAYERS, check_supported, count, reading_entries
from realtts.kit.reading import mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CONTEXT", "Sizes", "read_sizes"]

CONTEXT = 2048
"""Tokens of prompt and speech together that upstream allows, whatever the model could take."""

FAMILIES = ("qwen2", "llama")
"""Values of ``model_type`` that are supported."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a language model, as in ``config.json``.

    Attributes:
        family: ``"qwen2"``, with biases on queries, keys and values, or ``"llama"``.
        layers: Of the decoder.
        hidden: Width.
        intermediate: Width inside the MLP.
        heads: Of attention.
        kv_heads: Of keys and values.
        head_dim: Width of a head.
        vocabulary: Tokens, padded as the matrix is.
        context: Tokens of prompt and speech together, at most upstream's 2048.
        tied: Whether the embedding is the head, too.
        config: The file's content, for entries that are not listed here.
    """

    family: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    tied: bool
    config: Mapping[str, Any] = field(repr=False, compare=False)


def read_sizes(config: Mapping[str, Any], who: str = "file 'config.json'") -> Sizes:
    """Read ``config.json``.

    Args:
        config: Its content.
        who: The file, for messages.

    Raises:
        CheckpointMismatch: It is of another model, or an entry is missing or of a wrong type.
    """
    if config.get("model_type") not in FAMILIES:
        raise mismatch(f"model_type is {config.get('model_type')!r}, expected one of {', '.join(FAMILIES)}", who)
    with reading_entries(who):
        return _sizes(config)


def _sizes(config: Mapping[str, Any]) -> Sizes:
    check_supported(
        config, {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "use_sliding_window": False}
    )
    heads, hidden = count(config, "num_attention_heads"), count(config, "hidden_size")
    return Sizes(
        family=str(config["model_type"]),
        layers=count(config, "num_hidden_layers", most=MOST_LAYERS),
        hidden=hidden,
        intermediate=count(config, "intermediate_size"),
        heads=heads,
        kv_heads=count(config, "num_key_value_heads", heads),
        head_dim=count(config, "head_dim", hidden // heads),
        vocabulary=count(config, "vocab_size"),
        context=min(CONTEXT, count(config, "max_position_embeddings", CONTEXT)),
        # transformers' own default for both families.
        tied=bool(config.get("tie_word_embeddings", False)),
        config=MappingProxyType(dict(config)),
    )
