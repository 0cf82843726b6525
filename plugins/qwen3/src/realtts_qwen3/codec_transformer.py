"""The codec's transformer: each frame sees itself and a window of frames before it, whose keys and values are kept.

Products are in the given type, what passes the layers by, norms and angles in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.kernels import Dense
from realtts.accel.layers.positions import frequencies, rotated, turning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from torch import Tensor

    from realtts.accel.weights.state_reader import StateReader
    from realtts_qwen3.codec_state import Layout

__all__ = ["WindowedTransformer"]


class WindowedTransformer:
    """Layers with rotary positions, scaled before they are added.

    Args:
        config: The decoder's configuration.
        tensors: Of the decoder; names begin with ``pre_transformer.``.
        layout: Gives places to keys and values.
        dtype: Of the products.
    """

    def __init__(self, config: Mapping[str, Any], tensors: StateReader, layout: Layout, dtype: torch.dtype) -> None:
        name, outside, width = "pre_transformer", config["latent_dim"], config["hidden_size"]
        self._dtype, self._eps, self._back = dtype, float(config["rms_norm_eps"]), config["sliding_window"] - 1
        self._in = Dense(*tensors.pair(f"{name}.input_proj", width, outside), dtype)
        self._out = Dense(*tensors.pair(f"{name}.output_proj", outside, width), dtype)
        self._layers = [
            _Layer(config, tensors, f"{name}.layers.{n}", layout, dtype) for n in range(config["num_hidden_layers"])
        ]
        self._norm = tensors.take(f"{name}.norm.weight", width)
        self._rates = frequencies(float(config["rope_theta"]), config["head_dim"], self._norm.device)

    def __call__(self, x: Tensor, state: Sequence[Tensor], past: Tensor) -> Tensor:
        """(rows, frames, latent) to float32 of the same shape.

        Args:
            x: Of the layers' type.
            state: Places of the state; keys and values move on.
            past: Frames before these, int64 (rows,); may differ from row to row.
        """
        frames = x.shape[1]
        since = torch.arange(frames, device=x.device)
        turn = turning((past[:, None] + since)[..., None, None].float() * self._rates)
        mask = self._mask(since, past)
        x = self._in(x).float()
        for layer in self._layers:
            x = layer(x, state, turn, mask)
        x = functional.rms_norm(x, x.shape[2:], self._norm, self._eps)
        return self._out(x.to(self._dtype)).float()

    def _mask(self, since: Tensor, past: Tensor) -> Tensor:
        """Which keys each frame sees, (rows, 1, frames, back + frames): its window, and nothing before the first."""
        keys = torch.arange(self._back + len(since), device=since.device)
        seen = (keys >= since[:, None]) & (keys <= since[:, None] + self._back)
        real = keys >= self._back - past[:, None]
        mask: Tensor = (seen & real[:, None])[:, None]
        return mask


class _Layer:
    def __init__(
        self, config: Mapping[str, Any], tensors: StateReader, name: str, layout: Layout, dtype: torch.dtype
    ) -> None:
        width, self._width = config["hidden_size"], config["head_dim"]
        self._heads, self._pairs = config["num_attention_heads"], config["num_key_value_heads"]
        inner, kept = self._heads * self._width, self._pairs * self._width
        biased = bool(config.get("attention_bias", False))
        self._dtype, self._eps = dtype, float(config["rms_norm_eps"])
        self._norms = [
            tensors.take(f"{name}.{n}.weight", width) for n in ("input_layernorm", "post_attention_layernorm")
        ]
        parts = [
            tensors.pair(f"{name}.self_attn.{kind}_proj", rows, width, bias=biased)
            for kind, rows in (("q", inner), ("k", kept), ("v", kept))
        ]
        qkv_bias = torch.cat([bias for _, bias in parts if bias is not None]) if biased else None
        self._qkv = Dense(torch.cat([weight for weight, _ in parts]), qkv_bias, dtype)
        scale = tensors.take(f"{name}.self_attn_layer_scale.scale", width)
        out, out_bias = tensors.pair(f"{name}.self_attn.o_proj", width, inner, bias=biased)
        self._out = Dense(scale[:, None] * out, None if out_bias is None else scale * out_bias, dtype)
        middle = config["intermediate_size"]
        sides = [tensors.take(f"{name}.mlp.{side}_proj.weight", middle, width) for side in ("gate", "up")]
        self._gate_up = Dense(torch.cat(sides), None, dtype)
        scale = tensors.take(f"{name}.mlp_layer_scale.scale", width)
        down = tensors.take(f"{name}.mlp.down_proj.weight", width, middle)
        self._down = Dense(scale[:, None] * down, None, dtype)
        window = config["sliding_window"] - 1
        self._keys, self._values = layout.add(window, kept), layout.add(window, kept)

    def __call__(self, x: Tensor, state: Sequence[Tensor], turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        h = functional.rms_norm(x, x.shape[2:], self._norms[0], self._eps).to(self._dtype)
        x = x + self._out(self._attended(h, state, turn, mask))
        h = functional.rms_norm(x, x.shape[2:], self._norms[1], self._eps).to(self._dtype)
        gate, up = self._gate_up(h).chunk(2, 2)
        return x + self._down(functional.silu(gate) * up)

    def _attended(self, h: Tensor, state: Sequence[Tensor], turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        rows, frames = h.shape[:2]
        heads = self._heads, self._pairs, self._pairs
        qkv = self._qkv(h).view(rows, frames, sum(heads), self._width)
        q, k, v = qkv.split(heads, 2)
        q, k = (rotated(part.float(), *turn).to(part.dtype) for part in (q, k))
        k, v = _joined(state[self._keys], k), _joined(state[self._values], v)
        mixed = functional.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), mask, enable_gqa=self._heads != self._pairs
        )
        return mixed.transpose(1, 2).flatten(2)


def _joined(kept: Tensor, new: Tensor) -> Tensor:
    """What is kept and the new frames behind it, (rows, back + frames, heads, width); what is kept moves on."""
    frames = new.shape[1]
    joined = torch.cat([kept, new.flatten(2)], 1)
    kept.copy_(joined[:, frames:])
    return joined.view(*joined.shape[:2], *new.shape[2:])
