"""Names and shapes of a family's tensors in transformers' checkpoints, and how they make a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from realtts.accel.decoder.weights import LayerWeights

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig

    Shape = tuple[int, ...]

__all__ = ["GPT2", "LLAMA", "Naming", "naming_of"]


class Naming(Protocol):
    """The names of a family.

    Attributes:
        layers: Prefix of a layer's number.
        norm: The last norm; ``.weight`` and ``.bias`` follow.
        computed: Endings of tensors in some checkpoints that are no weights.
    """

    layers: str
    norm: str
    computed: tuple[str, ...]

    def shapes(self, config: DecoderConfig) -> dict[str, Shape]:
        """Return the shapes of a layer's tensors, by their names below the layer's."""

    def layer(self, config: DecoderConfig, read: Callable[[str], Tensor]) -> LayerWeights:
        """Make a layer of its tensors, which are read by their names below the layer's."""


class _Llama:
    layers, norm = "layers.", "norm"
    computed: tuple[str, ...] = (".inv_freq",)

    def shapes(self, config: DecoderConfig) -> dict[str, Shape]:
        hidden, width = config.hidden_size, config.head_dim
        projections = {"q": config.heads * width, "k": config.kv_heads * width, "v": config.kv_heads * width}
        shapes: dict[str, Shape] = {
            "input_layernorm.weight": (hidden,),
            **{f"self_attn.{name}_proj.weight": (size, hidden) for name, size in projections.items()},
            "self_attn.o_proj.weight": (hidden, config.heads * width),
            "post_attention_layernorm.weight": (hidden,),
            "mlp.gate_proj.weight": (config.mlp_size, hidden),
            "mlp.up_proj.weight": (config.mlp_size, hidden),
            "mlp.down_proj.weight": (hidden, config.mlp_size),
        }
        if config.qkv_bias:
            shapes |= {f"self_attn.{name}_proj.bias": (size,) for name, size in projections.items()}
        if config.qk_norm:
            shapes |= {"self_attn.q_norm.weight": (width,), "self_attn.k_norm.weight": (width,)}
        return shapes

    def layer(self, config: DecoderConfig, read: Callable[[str], Tensor]) -> LayerWeights:
        return LayerWeights(
            input_norm=read("input_layernorm.weight"),
            qkv=torch.cat([read(f"self_attn.{name}_proj.weight") for name in "qkv"]),
            qkv_bias=torch.cat([read(f"self_attn.{name}_proj.bias") for name in "qkv"]) if config.qkv_bias else None,
            q_norm=read("self_attn.q_norm.weight") if config.qk_norm else None,
            k_norm=read("self_attn.k_norm.weight") if config.qk_norm else None,
            out=read("self_attn.o_proj.weight"),
            mlp_norm=read("post_attention_layernorm.weight"),
            gate_up=torch.cat([read(f"mlp.{name}_proj.weight") for name in ("gate", "up")]),
            down=read("mlp.down_proj.weight"),
        )


class _GPT2:
    layers, norm = "h.", "ln_f"
    # Old checkpoints hold the causal mask as tensors of the attention.
    computed: tuple[str, ...] = (".attn.bias", ".attn.masked_bias")

    def shapes(self, config: DecoderConfig) -> dict[str, Shape]:
        hidden, inner = config.hidden_size, config.mlp_size
        linears = {
            "attn.c_attn": (hidden, 3 * hidden),
            "attn.c_proj": (hidden, hidden),
            "mlp.c_fc": (hidden, inner),
            "mlp.c_proj": (inner, hidden),
        }
        shapes: dict[str, Shape] = {}
        for name, shape in linears.items():
            shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[1:]}
        for name in ("ln_1", "ln_2"):
            shapes |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
        return shapes

    def layer(self, config: DecoderConfig, read: Callable[[str], Tensor]) -> LayerWeights:  # noqa: ARG002 - nothing varies
        def linear(name: str) -> Tensor:
            return read(f"{name}.weight").T.contiguous()  # GPT-2's linear layers are stored the other way round

        return LayerWeights(
            input_norm=read("ln_1.weight"),
            input_norm_bias=read("ln_1.bias"),
            qkv=linear("attn.c_attn"),
            qkv_bias=read("attn.c_attn.bias"),
            out=linear("attn.c_proj"),
            out_bias=read("attn.c_proj.bias"),
            mlp_norm=read("ln_2.weight"),
            mlp_norm_bias=read("ln_2.bias"),
            gate_up=linear("mlp.c_fc"),
            gate_up_bias=read("mlp.c_fc.bias"),
            down=linear("mlp.c_proj"),
            down_bias=read("mlp.c_proj.bias"),
        )


LLAMA: Naming = _Llama()
GPT2: Naming = _GPT2()


def naming_of(config: DecoderConfig) -> Naming:
    """Return the names of a decoder's family."""
    return GPT2 if config.family == "gpt2" else LLAMA
