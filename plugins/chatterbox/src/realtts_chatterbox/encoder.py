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
from realtts_chatterbox.layout import bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    State = Mapping[str, Tensor]
    Read = Callable[[str], Tensor]
    """Reads a tensor by its name, in float32 on the device."""

__all__ = ["LOOKAHEAD", "Encoder"]

LOOKAHEAD = 3
"""Tokens after its own that the first convolution sees."""

_NORM_EPS = 1e-12


class Encoder:
    """A convolution with look-ahead, conformer layers, upsampling, conformer layers.

    Args:
        state: Upstream's tensors without prefix; each is read once.
        device: Where to compute.
        fused: Use torch's fused attention instead of matrix products.

    Attributes:
        padded: Pad that attention to a few lengths, for a GPU, where libraries prepare for each; may be set.
    """

    def __init__(self, state: State, device: torch.device, *, fused: bool = False) -> None:
        def read(name: str) -> Tensor:
            return state[name].to(device, torch.float32)

        self._embeds = [_Embed(read, name) for name in ("embed.", "up_embed.")]
        self._ahead = [_conv(read, f"pre_lookahead_layer.conv{n}") for n in (1, 2)]
        self._up = _conv(read, "up_layer.conv")
        self._stages = [
            [_Layer(read, f"{stage}.{n}.", fused) for n in range(children(state, f"{stage}."))]
            for stage in ("encoders", "up_encoders")
        ]
        self._after = _pair(read, "after_norm")
        self.padded = False

    def __call__(self, x: Tensor) -> Tensor:
        """Return the features of one request: float32 (tokens, channels) -> (2 * tokens, channels)."""
        x = self._looked_ahead(self._embeds[0](x))
        x = self._conformed(0, x)
        # Each token twice, then a convolution that looks back: (tokens, c) -> (2 * tokens, c).
        x = causal_conv(x.repeat_interleave(2, 0), *self._up)
        x = self._conformed(1, self._embeds[1](x))
        return functional.layer_norm(x, x.shape[1:], *self._after)

    def _looked_ahead(self, x: Tensor) -> Tensor:
        # A convolution that looks ahead is one that looks back, three frames later.
        later = causal_conv(functional.pad(x, (0, 0, 0, LOOKAHEAD)), *self._ahead[0])[LOOKAHEAD:]
        return causal_conv(functional.leaky_relu(later), *self._ahead[1]) + x

    def _conformed(self, stage: int, x: Tensor) -> Tensor:
        positions = _positions(len(x), x.shape[1], x.device)
        for layer in self._stages[stage]:
            x = layer(x, positions, bucket(len(x)) if self.padded else len(x))
        return x


class _Embed:
    """A linear layer and a norm, scaled as upstream's positional encoding scales its input."""

    def __init__(self, read: Read, name: str) -> None:
        self._linear, self._norm = _pair(read, f"{name}out.0"), _pair(read, f"{name}out.1")

    def __call__(self, x: Tensor) -> Tensor:
        x = linear(x, *self._linear)
        return functional.layer_norm(x, x.shape[1:], *self._norm) * math.sqrt(x.shape[1])


class _Layer:
    """Attention with relative positions and a feed-forward network."""

    def __init__(self, read: Read, name: str, fused: bool) -> None:
        self._fused = fused
        attn = f"{name}self_attn."
        self._u, self._v = (read(f"{attn}pos_bias_{kind}") for kind in "uv")
        self._heads, self._width = self._u.shape
        weights, biases = zip(*(_pair(read, f"{attn}linear_{kind}") for kind in "qkv"), strict=True)
        self._qkv = torch.cat(weights), torch.cat(biases)
        self._pos = read(f"{attn}linear_pos.weight")
        parts = ("self_attn.linear_out", "feed_forward.w_1", "feed_forward.w_2", "norm_mha", "norm_ff")
        pairs = [_pair(read, f"{name}{part}") for part in parts]
        self._out, self._up, self._down, self._norm_mha, self._norm_ff = pairs

    def __call__(self, x: Tensor, positions: Tensor, frames: int) -> Tensor:
        normed = functional.layer_norm(x, x.shape[1:], *self._norm_mha, eps=_NORM_EPS)
        x = linear(self._attended(normed, positions, frames), *self._out).add_(x)
        h = functional.silu(linear(functional.layer_norm(x, x.shape[1:], *self._norm_ff, eps=_NORM_EPS), *self._up))
        return linear(h, *self._down).add_(x)

    def _attended(self, x: Tensor, positions: Tensor, frames: int) -> Tensor:
        """Attend with relative positions (Transformer-XL, arXiv:1901.02860): (n, h * d) -> (n, h * d).

        Torch's fused attention is given so many frames, of which those behind the n are hidden.
        """
        n, heads, width = len(x), self._heads, self._width
        q, k, v = linear(x, *self._qkv).view(n, 3, heads, width).unbind(1)  # (n, 3 * h * d) -> three of (n, h, d)
        p = linear(positions, self._pos).view(2 * n - 1, heads, width).transpose(0, 1)  # (h, 2 n - 1, d)
        near, k, v = (q + self._u).transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1)  # (n, h, d) -> (h, n, d)
        far = product((q + self._v).transpose(0, 1), p)  # (h, n, 2 n - 1)
        # Query i meets key j at the distance i - j, which is column n - 1 - i + j of its row. So the scores of all
        # pairs are a diagonal band, read as a view instead of by upstream's padding and reshaping: (h, n, n).
        far = far.contiguous().as_strided((heads, n, n), (n * (2 * n - 1), 2 * n - 2, 1), n - 1)
        if self._fused:
            scale = 1 / math.sqrt(width)
            near, far = near * (scale * QUERY_SCALE), far * scale
            if frames > n:
                near, k, v = (functional.pad(part, (0, 0, 0, frames - n)) for part in (near, k, v))
                seen = functional.pad(far, (0, frames - n), value=float("-inf"))
                far = functional.pad(seen, (0, 0, 0, frames - n))  # who is padding itself may see anything
            return attend(near[None], k[None], v[None], fused=True, mask=far)[0, :n]
        weights = product(near, k).add_(far).div_(math.sqrt(width)).softmax(-1)
        return product(weights, v.transpose(1, 2)).transpose(0, 1).reshape(n, heads * width)  # (h, n, d) -> (n, h * d)


def _positions(n: int, channels: int, device: torch.device) -> Tensor:
    """Return sines and cosines of the distances n - 1 ... -(n - 1), float32 (2 n - 1, channels)."""
    distances = torch.arange(n - 1, -n, -1, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, channels, 2, dtype=torch.float32) * -(math.log(10000.0) / channels))
    angles = distances * rates
    return torch.stack([angles.sin(), angles.cos()], 2).view(2 * n - 1, channels).to(device)


def _conv(read: Read, name: str) -> tuple[Tensor, Tensor]:
    return wide(read(f"{name}.weight")), read(f"{name}.bias")


def _pair(read: Read, name: str) -> tuple[Tensor, Tensor]:
    return read(f"{name}.weight"), read(f"{name}.bias")
