"""The codec's transformer: each frame sees itself and a window of frames before it, whose keys and values are stored.

Products are in the given dtype; the residual stream, norms and angles in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.layers.positions import frequencies, rotated, turning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from torch import Tensor

    from realtts.accel.kernels import Dense, DenseLayers
    from realtts.accel.weights.state_reader import StateReader
    from realtts_qwen3.codec_state import Layout

__all__ = ["WindowedTransformer"]


class WindowedTransformer:
    """Layers with rotary positions, whose outputs are scaled before they are added.

    Args:
        config: The decoder's configuration.
        tensors: The decoder's tensors; names begin with ``pre_transformer.``.
        layout: Reserves the places of keys and values.
        products: Casts and packs the products.
    """

    def __init__(self, config: Mapping[str, Any], tensors: StateReader, layout: Layout, products: DenseLayers) -> None:
        name, outside, width = "pre_transformer", config["latent_dim"], config["hidden_size"]
        self._dtype, self._eps = products.dtype, float(config["rms_norm_eps"])
        self._back = config["sliding_window"] - 1
        self._in = products.add(*tensors.pair(f"{name}.input_proj", width, outside))
        self._out = products.add(*tensors.pair(f"{name}.output_proj", outside, width))
        self._layers = [
            _Layer(config, tensors, f"{name}.layers.{n}", layout, products) for n in range(config["num_hidden_layers"])
        ]
        self._norm = tensors.take(f"{name}.norm.weight", width)
        self._rates = frequencies(float(config["rope_theta"]), config["head_dim"], self._norm.device)

    def __call__(self, x: Tensor, state: Sequence[Tensor], past: Tensor) -> Tensor:
        """(rows, frames, latent) to float32 of the same shape.

        Args:
            x: Of the products' dtype.
            state: Places of the state; keys and values move on.
            past: Frames before these, int64 (rows,); may differ from row to row.
        """
        frames = x.shape[1]
        offsets = torch.arange(frames, device=x.device)
        positions = past[:, None] + offsets  # (rows, frames)
        turn = turning(positions[..., None, None].float() * self._rates)  # each (rows, frames, 1, head_dim)
        mask = self._mask(offsets, past)
        x = self._in(x).float()
        for layer in self._layers:
            x = layer(x, state, turn, mask)
        x = functional.rms_norm(x, x.shape[2:], self._norm, self._eps)
        return self._out(x.to(self._dtype)).float()

    def _mask(self, offsets: Tensor, past: Tensor) -> Tensor:
        """Return which keys each frame sees, bool (rows, 1, frames, back + frames).

        A frame sees its window, and nothing before the first frame, where the stored keys are zeros.
        """
        keys = torch.arange(self._back + len(offsets), device=offsets.device)
        inside = (keys >= offsets[:, None]) & (keys <= offsets[:, None] + self._back)  # (frames, back + frames)
        real = keys >= self._back - past[:, None]  # (rows, back + frames)
        mask: Tensor = (inside & real[:, None])[:, None]
        return mask


class _Layer:
    """Attention and a gated network, each behind a norm and scaled beside its input."""

    def __init__(
        self, config: Mapping[str, Any], tensors: StateReader, name: str, layout: Layout, products: DenseLayers
    ) -> None:
        width, self._head_dim = config["hidden_size"], config["head_dim"]
        self._heads, self._kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self._dtype, self._eps = products.dtype, float(config["rms_norm_eps"])
        self._norms = [
            tensors.take(f"{name}.{n}.weight", width) for n in ("input_layernorm", "post_attention_layernorm")
        ]
        self._qkv, self._out = self._read_attention(config, tensors, name, products)
        middle = config["intermediate_size"]
        sides = [tensors.take(f"{name}.mlp.{side}_proj.weight", middle, width) for side in ("gate", "up")]
        self._gate_up = products.add(torch.cat(sides))
        # The layer's scale is part of the weights, here and in the attention: one pass over the result less.
        scale = tensors.take(f"{name}.mlp_layer_scale.scale", width)
        down = tensors.take(f"{name}.mlp.down_proj.weight", width, middle)
        self._down = products.add(scale[:, None] * down)
        window, kv_width = config["sliding_window"] - 1, self._kv_heads * self._head_dim
        self._keys, self._values = layout.add(window, kv_width), layout.add(window, kv_width)

    def _read_attention(
        self, config: Mapping[str, Any], tensors: StateReader, name: str, products: DenseLayers
    ) -> tuple[Dense, Dense]:
        """Read the fused projection to queries, keys and values, and the one behind them."""
        width, biased = config["hidden_size"], bool(config.get("attention_bias", False))
        inner, kv_width = self._heads * self._head_dim, self._kv_heads * self._head_dim
        parts = [
            tensors.pair(f"{name}.self_attn.{kind}_proj", rows, width, bias=biased)
            for kind, rows in (("q", inner), ("k", kv_width), ("v", kv_width))
        ]
        qkv_bias = torch.cat([bias for _, bias in parts if bias is not None]) if biased else None
        qkv = products.add(torch.cat([weight for weight, _ in parts]), qkv_bias)
        scale = tensors.take(f"{name}.self_attn_layer_scale.scale", width)
        out, out_bias = tensors.pair(f"{name}.self_attn.o_proj", width, inner, bias=biased)
        return qkv, products.add(scale[:, None] * out, None if out_bias is None else scale * out_bias)

    def __call__(self, x: Tensor, state: Sequence[Tensor], turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """float32 (rows, frames, hidden) to the same."""
        h = functional.rms_norm(x, x.shape[2:], self._norms[0], self._eps).to(self._dtype)
        x = x + self._out(self._attended(h, state, turn, mask))
        h = functional.rms_norm(x, x.shape[2:], self._norms[1], self._eps).to(self._dtype)
        gate, up = self._gate_up(h).chunk(2, 2)  # (rows, frames, 2 * intermediate) -> twice half of it
        return x + self._down(functional.silu(gate) * up)

    def _attended(self, h: Tensor, state: Sequence[Tensor], turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """(rows, frames, hidden) to (rows, frames, heads * head_dim)."""
        rows, frames = h.shape[:2]
        heads = self._heads, self._kv_heads, self._kv_heads
        qkv = self._qkv(h).view(rows, frames, sum(heads), self._head_dim)
        q, k, v = qkv.split(heads, 2)  # each (rows, frames, its heads, head_dim)
        q, k = (rotated(part.float(), *turn).to(part.dtype) for part in (q, k))
        k, v = _joined(state[self._keys], k), _joined(state[self._values], v)
        mixed = functional.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), mask, enable_gqa=self._heads != self._kv_heads
        )
        return mixed.transpose(1, 2).flatten(2)  # (rows, heads, frames, head_dim) -> (rows, frames, heads * head_dim)


def _joined(stored: Tensor, new: Tensor) -> Tensor:
    """Put the stored frames before the new ones, (rows, back + frames, heads, head_dim), and move the store on."""
    frames = new.shape[1]
    joined = torch.cat([stored, new.flatten(2)], 1)  # (rows, back + frames, heads * head_dim)
    stored.copy_(joined[:, frames:])
    return joined.view(*joined.shape[:2], *new.shape[2:])
