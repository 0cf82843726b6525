"""The tensors that a language model and the codec's decoder must have, by upstream's names, from their configurations.

They are what a file is checked against before anything of it is used, and what random language models are made of.
Their names are those of transformers' ``Qwen2ForCausalLM`` and ``LlamaForCausalLM``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realtts_vieneu.codec_sizes import CodecSizes
    from realtts_vieneu.sizes import Sizes

    Shape = tuple[int, ...]
    Named = Iterator[tuple[str, Shape]]

__all__ = ["EMBEDDING", "HEAD", "codec_shapes", "model_shapes"]

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
"""One that is the embedding may lie in the file all the same; transformers does not look at it either."""

_DECODER = "acoustic_decoder."


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


def codec_shapes(sizes: CodecSizes) -> dict[str, Shape]:
    """Of what decodes in the codec's file, by the names of transformers' ``NeuCodecModel``."""
    shapes = dict(_resnets(sizes.hidden))
    for layer in range(sizes.layers):
        shapes.update(_codec_layer(sizes, f"{_DECODER}layers.{layer}."))
    weights = {
        "quantizer.project_out": (sizes.latent, len(sizes.levels)),
        f"{_DECODER}fc": (sizes.hidden, sizes.latent),
        f"{_DECODER}embed": (sizes.hidden, sizes.hidden, 7),
        f"{_DECODER}norm": (sizes.hidden,),
        f"{_DECODER}head.linear": (sizes.fft + 2, sizes.hidden),
    }
    return {**shapes, **dict(_biased(weights))}


def _resnets(width: int) -> Named:
    for block in (f"{_DECODER}{net}.{number}" for net in ("prior_net", "post_net") for number in range(2)):
        for number in (1, 2):
            yield from _biased({f"{block}.norm{number}": (width,), f"{block}.conv{number}": (width, width, 3)})


def _codec_layer(sizes: CodecSizes, own: str) -> Named:
    width, inner = sizes.hidden, sizes.heads * sizes.head_dim
    for norm in ("input_layernorm", "post_attention_layernorm"):
        yield f"{own}{norm}.weight", (width,)
    attention = {f"{own}self_attn.{kind}_proj": (inner, width) for kind in "qkv"}
    attention[f"{own}self_attn.o_proj"] = (width, inner)
    for name, shape in _biased(attention):
        if sizes.attention_bias or name.endswith("weight"):
            yield name, shape
    yield f"{own}mlp.fc1.weight", (sizes.intermediate, width)
    yield f"{own}mlp.fc2.weight", (width, sizes.intermediate)


def _biased(weights: Mapping[str, Shape]) -> Named:
    for name, shape in weights.items():
        yield f"{name}.weight", shape
        yield f"{name}.bias", shape[:1]
