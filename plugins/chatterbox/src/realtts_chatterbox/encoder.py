"""Speech tokens to features at twice their rate: upstream's UpsampleConformerEncoder, always in float32.

Each request is computed on its own, at its true length, so there is neither padding nor a mask. Weights keep upstream's
names (checkpoint: ``flow.encoder.*``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.layers.bidirectional import QUERY_SCALE, attend
from realtts.accel.layers.dense import causal_conv, linear, product, wide
from realtts.accel.weights.state_reader import children

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    State = Mapping[str, Tensor]

__all__ = ["LOOKAHEAD", "Encoder"]

LOOKAHEAD = 3
"""Tokens that the first convolution sees ahead."""

_NORM_EPS = 1e-12


class Encoder:
    """A convolution with look-ahead, conformer layers, upsampling, conformer layers.

    Args:
        state: Upstream's tensors without prefix.
        device: Where to compute.
        fused: Take torch's attention instead of products.
    """

    def __init__(self, state: State, device: torch.device, *, fused: bool = False) -> None:
        full = {name: tensor.to(device, torch.float32) for name, tensor in state.items()}
        self._embeds = [_Embed(full, name) for name in ("embed.", "up_embed.")]
        self._ahead = [_conv(full, f"pre_lookahead_layer.conv{n}") for n in (1, 2)]
        self._up = _conv(full, "up_layer.conv")
        self._stages = [
            [_Layer(full, f"{stage}.{n}.", fused) for n in range(children(full, f"{stage}."))]
            for stage in ("encoders", "up_encoders")
        ]
        self._after = full["after_norm.weight"], full["after_norm.bias"]

    def __call__(self, x: Tensor) -> Tensor:
        """Features of one request: float32 (2 * tokens, channels) for embedded tokens (tokens, channels)."""
        x = self._looked_ahead(self._embeds[0](x))
        x = self._conformed(0, x)
        # each token twice, then a convolution that looks back
        x = causal_conv(x.repeat_interleave(2, 0), *self._up)
        x = self._conformed(1, self._embeds[1](x))
        return functional.layer_norm(x, x.shape[1:], *self._after)

    def _looked_ahead(self, x: Tensor) -> Tensor:
        # a convolution that looks ahead is one that looks back, three frames later
        later = causal_conv(functional.pad(x, (0, 0, 0, LOOKAHEAD)), *self._ahead[0])[LOOKAHEAD:]
        return causal_conv(functional.leaky_relu(later), *self._ahead[1]) + x

    def _conformed(self, stage: int, x: Tensor) -> Tensor:
        positions = _positions(len(x), x.shape[1], x.device)
        for layer in self._stages[stage]:
            x = layer(x, positions)
        return x


class _Embed:
    def __init__(self, state: State, name: str) -> None:
        self._linear = state[f"{name}out.0.weight"], state[f"{name}out.0.bias"]
        self._norm = state[f"{name}out.1.weight"], state[f"{name}out.1.bias"]

    def __call__(self, x: Tensor) -> Tensor:
        x = linear(x, *self._linear)
        return functional.layer_norm(x, x.shape[1:], *self._norm) * math.sqrt(x.shape[1])


class _Layer:
    """Attention with relative positions and a feed-forward network."""

    def __init__(self, state: State, name: str, fused: bool) -> None:
        self._fused = fused
        attn = f"{name}self_attn."
        self._u, self._v = (state[f"{attn}pos_bias_{kind}"] for kind in "uv")
        self._heads, self._width = self._u.shape
        parts = [(state[f"{attn}linear_{kind}.weight"], state[f"{attn}linear_{kind}.bias"]) for kind in "qkv"]
        weights, biases = zip(*parts, strict=True)
        self._qkv = torch.cat(weights), torch.cat(biases)
        self._pos = state[f"{attn}linear_pos.weight"]
        pairs = ("self_attn.linear_out", "feed_forward.w_1", "feed_forward.w_2", "norm_mha", "norm_ff")
        found = [(state[f"{name}{part}.weight"], state[f"{name}{part}.bias"]) for part in pairs]
        self._out, self._up, self._down, self._norm_mha, self._norm_ff = found

    def __call__(self, x: Tensor, positions: Tensor) -> Tensor:
        normed = functional.layer_norm(x, x.shape[1:], *self._norm_mha, eps=_NORM_EPS)
        x = linear(self._attended(normed, positions), *self._out).add_(x)
        h = functional.silu(linear(functional.layer_norm(x, x.shape[1:], *self._norm_ff, eps=_NORM_EPS), *self._up))
        return linear(h, *self._down).add_(x)

    def _attended(self, x: Tensor, positions: Tensor) -> Tensor:
        n, heads, width = len(x), self._heads, self._width
        q, k, v = linear(x, *self._qkv).view(n, 3, heads, width).unbind(1)
        p = linear(positions, self._pos).view(2 * n - 1, heads, width).transpose(0, 1)
        near, k, v = (q + self._u).transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1)
        far = product((q + self._v).transpose(0, 1), p)
        # row i of `far` begins at the position n - 1 - i: the diagonal as a view, (heads, n, n)
        far = far.contiguous().as_strided((heads, n, n), (n * (2 * n - 1), 2 * n - 2, 1), n - 1)
        if self._fused:
            scale = 1 / math.sqrt(width)
            return attend((near * (scale * QUERY_SCALE))[None], k[None], v[None], fused=True, mask=far * scale)[0]
        weights = product(near, k).add_(far).div_(math.sqrt(width)).softmax(-1)
        return product(weights, v.transpose(1, 2)).transpose(0, 1).reshape(n, heads * width)


def _positions(n: int, channels: int, device: torch.device) -> Tensor:
    """Sines and cosines of the distances n - 1 ... -(n - 1), float32 (2 n - 1, channels)."""
    distances = torch.arange(n - 1, -n, -1, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, channels, 2, dtype=torch.float32) * -(math.log(10000.0) / channels))
    angles = distances * rates
    return torch.stack([angles.sin(), angles.cos()], 2).view(2 * n - 1, channels).to(device)


def _conv(state: State, name: str) -> tuple[Tensor, Tensor]:
    return wide(state[f"{name}.weight"]), state[f"{name}.bias"]
