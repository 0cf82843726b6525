"""Reading a decoder's weights from a state dict: nothing missing, nothing left over, every shape right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.errors import CheckpointMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig

__all__ = ["LayerWeights", "read_layers"]


@dataclass
class LayerWeights:
    """One layer, queries, keys and values fused, gate and up fused.

    Attributes:
        input_norm: (hidden,).
        qkv: ((heads + 2 kv_heads) head_dim, hidden).
        qkv_bias: ((heads + 2 kv_heads) head_dim,) or None.
        q_norm: (head_dim,) or None.
        k_norm: (head_dim,) or None.
        out: (hidden, heads head_dim).
        mlp_norm: (hidden,).
        gate_up: (2 mlp, hidden).
        down: (hidden, mlp).
    """

    input_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    q_norm: Tensor | None
    k_norm: Tensor | None
    out: Tensor
    mlp_norm: Tensor
    gate_up: Tensor
    down: Tensor

    @property
    def matrices(self) -> tuple[Tensor, ...]:
        """What a step multiplies by."""
        return self.qkv, self.out, self.gate_up, self.down


def read_layers(
    config: DecoderConfig,
    state: Mapping[str, Tensor],
    prefix: str,
    ignore: Collection[str] = (),
    device: torch.device | str = "cpu",
) -> tuple[Iterator[LayerWeights], Tensor]:
    """The layers and the final norm of a checkpoint in transformers' naming.

    A layer is read when the iterator comes to it: a mapping that reads tensors from a file as they are asked for never
    has more than one layer in memory. Names are checked at once, shapes as they come.

    Args:
        config: Shape of the decoder.
        state: Tensors by name.
        prefix: What stands before ``layers.0.`` and ``norm.weight``, such as ``"model."``.
        ignore: Names below the prefix that belong to something else, such as ``embed_tokens.weight``.
        device: Where the tensors go.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
    """
    shapes = _shapes(config)
    own = {name.removeprefix(prefix) for name in state if name.startswith(prefix)}
    own = {name for name in own if name not in ignore and not name.endswith(".inv_freq")}
    missing, unexpected = sorted(shapes.keys() - own), sorted(own - shapes.keys())
    if missing or unexpected:
        kind, names = ("missing", missing) if missing else ("unexpected", unexpected)
        raise _wrong(f"{len(names)} tensors are {kind}, the first is {prefix}{names[0]!s}")

    def read(name: str) -> Tensor:
        tensor = state[prefix + name]
        if tuple(tensor.shape) != shapes[name]:
            raise _wrong(f"{prefix}{name} has the shape {tuple(tensor.shape)}, expected {shapes[name]}")
        return tensor.to(device)

    return (_layer(config, read, f"layers.{index}.") for index in range(config.layers)), read("norm.weight")


def _layer(config: DecoderConfig, read: Callable[[str], Tensor], at: str) -> LayerWeights:
    attention = f"{at}self_attn."
    return LayerWeights(
        input_norm=read(f"{at}input_layernorm.weight"),
        qkv=torch.cat([read(f"{attention}{name}_proj.weight") for name in "qkv"]),
        qkv_bias=torch.cat([read(f"{attention}{name}_proj.bias") for name in "qkv"]) if config.qkv_bias else None,
        q_norm=read(f"{attention}q_norm.weight") if config.qk_norm else None,
        k_norm=read(f"{attention}k_norm.weight") if config.qk_norm else None,
        out=read(f"{attention}o_proj.weight"),
        mlp_norm=read(f"{at}post_attention_layernorm.weight"),
        gate_up=torch.cat([read(f"{at}mlp.{name}_proj.weight") for name in ("gate", "up")]),
        down=read(f"{at}mlp.down_proj.weight"),
    )


def _shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    hidden, width = config.hidden_size, config.head_dim
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (config.heads * width, hidden),
        "self_attn.k_proj.weight": (config.kv_heads * width, hidden),
        "self_attn.v_proj.weight": (config.kv_heads * width, hidden),
        "self_attn.o_proj.weight": (hidden, config.heads * width),
        "post_attention_layernorm.weight": (hidden,),
        "mlp.gate_proj.weight": (config.mlp_size, hidden),
        "mlp.up_proj.weight": (config.mlp_size, hidden),
        "mlp.down_proj.weight": (hidden, config.mlp_size),
    }
    if config.qkv_bias:
        layer |= {
            name.replace("weight", "bias"): shape[:1]
            for name, shape in layer.items()
            if name[10:11] in "qkv" and name.startswith("self_attn.")
        }
    if config.qk_norm:
        layer |= {"self_attn.q_norm.weight": (width,), "self_attn.k_norm.weight": (width,)}
    shapes = {f"layers.{n}.{name}": shape for n in range(config.layers) for name, shape in layer.items()}
    return {**shapes, "norm.weight": (hidden,)}


def _wrong(what: str) -> CheckpointMismatch:
    return CheckpointMismatch(
        what, who="decoder weights", fix="check that checkpoint and configuration belong together"
    )
