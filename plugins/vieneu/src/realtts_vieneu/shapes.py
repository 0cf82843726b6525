"""The tensors that a language model must have, by upstream's names, computed from its configuration.

They are what a file is checked against before anything of it is used, and what random checkpoints are made of. The
names are those of transformers' ``Qwen2ForCausalLM`` and ``LlamaForCausalLM``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts_vieneu.sizes import Sizes

    Shape = tuple[int, ...]
    Named = Iterator[tuple[str, Shape]]

__all__ = ["EMBEDDING", "HEAD", "model_shapes"]

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
"""One that is the embedding may lie in the file all the same; transformers does not look at it either."""


def model_shapes(sizes: Sizes) -> dict[str, Shape]:
    """Of ``model.safetensors``; the head only where it is not the embedding."""
    shapes = {EMBEDDING: (sizes.vocabulary, sizes.hidden), **dict(_layers(sizes))}
    shapes["model.norm.weight"] = (sizes.hidden,)
    return shapes if sizes.tied else {**shapes, HEAD: (sizes.vocabulary, sizes.hidden)}


def _layers(sizes: Sizes) -> Named:
    hidden, queries, keys = sizes.hidden, sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
    for layer in range(sizes.layers):
        own = f"model.layers.{layer}."
        for name, width in (("q", queries), ("k", keys), ("v", keys)):
            yield f"{own}self_attn.{name}_proj.weight", (width, hidden)
            if sizes.family == "qwen2":
                yield f"{own}self_attn.{name}_proj.bias", (width,)
        yield f"{own}self_attn.o_proj.weight", (hidden, queries)
        yield f"{own}mlp.gate_proj.weight", (sizes.intermediate, hidden)
        yield f"{own}mlp.up_proj.weight", (sizes.intermediate, hidden)
        yield f"{own}mlp.down_proj.weight", (hidden, sizes.intermediate)
        yield f"{own}input_layernorm.weight", (hidden,)
        yield f"{own}post_attention_layernorm.weight", (hidden,)
