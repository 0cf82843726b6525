"""The transformer of Mimi's encoder: causal, rotary positions, layer norms, scaled residuals; float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.layers.positions import frequencies, rotated, turning

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from torch import Tensor

    from realtts.accel.weights.state_reader import StateReader

__all__ = ["Transformer"]


class Transformer:
    """The layers, over all frames of a recording at once.

    Args:
        config: ``encoder_config``.
        tensors: The encoder's tensors; names begin with ``encoder_transformer.``.
    """

    def __init__(self, config: Mapping[str, Any], tensors: StateReader) -> None:
        self._layers = [
            _Layer(config, tensors, f"encoder_transformer.layers.{n}") for n in range(config["num_hidden_layers"])
        ]
        self._rates = frequencies(float(config["rope_theta"]), config["head_dim"])

    def __call__(self, x: Tensor) -> Tensor:
        """(1, frames, hidden) to the same."""
        turn = turning(torch.arange(x.shape[1], device=x.device).float()[:, None] * self._rates.to(x.device))
        for layer in self._layers:
            x = layer(x, turn)
        return x


class _Layer:
    """Attention and a network of two layers, each behind a norm and scaled beside its input."""

    def __init__(self, config: Mapping[str, Any], tensors: StateReader, name: str) -> None:
        width, self._head_dim, self._eps = config["hidden_size"], config["head_dim"], config["norm_eps"]
        heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        biased, middle = bool(config.get("attention_bias", False)), config["intermediate_size"]
        self._grouped = heads != kv_heads
        self._norms = [tensors.pair(f"{name}.{n}", width) for n in ("input_layernorm", "post_attention_layernorm")]
        self._scales = [tensors.take(f"{name}.{n}_layer_scale.scale", width) for n in ("self_attn", "mlp")]
        sizes = {"q": heads * self._head_dim, "k": kv_heads * self._head_dim, "v": kv_heads * self._head_dim}
        self._qkv = [
            tensors.pair(f"{name}.self_attn.{kind}_proj", rows, width, bias=biased) for kind, rows in sizes.items()
        ]
        self._out = tensors.pair(f"{name}.self_attn.o_proj", width, sizes["q"], bias=biased)
        self._up = tensors.take(f"{name}.mlp.fc1.weight", middle, width)
        self._down = tensors.take(f"{name}.mlp.fc2.weight", width, middle)

    def __call__(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self._scales[0] * self._attended(self._normed(x, 0), turn)
        h = functional.linear(functional.gelu(functional.linear(self._normed(x, 1), self._up)), self._down)
        return x + self._scales[1] * h

    def _normed(self, x: Tensor, which: int) -> Tensor:
        return functional.layer_norm(x, x.shape[2:], *self._norms[which], eps=self._eps)

    def _attended(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """(1, frames, hidden) to the same."""
        # (1, frames, heads * head_dim) -> (1, heads, frames, head_dim)
        q, k, v = (
            functional.linear(x, *layer).unflatten(2, (-1, self._head_dim)).transpose(1, 2) for layer in self._qkv
        )
        mixed = functional.scaled_dot_product_attention(
            rotated(q, *turn), rotated(k, *turn), v, is_causal=True, enable_gqa=self._grouped
        )
        return functional.linear(mixed.transpose(1, 2).flatten(2), *self._out)  # heads side by side again
