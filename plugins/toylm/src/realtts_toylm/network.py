"""The model as its authors would publish it: modules of torch with a cache that grows, and nothing of realtts' toolkit.

Parameters are named as transformers names those of Qwen3, with a second embedding for the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.decoder import DecoderConfig

    Past = list[tuple[Tensor, Tensor]]

__all__ = ["Network"]


class Network(nn.Module):
    """Two embeddings, a decoder and a head.

    Args:
        config: Shape of the decoder.
        vocabulary: Speech tokens.
        text_vocabulary: Text tokens.
    """

    def __init__(self, config: DecoderConfig, vocabulary: int, text_vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.text_embedding = nn.Embedding(text_vocabulary, config.hidden_size)
        self.model = _Body(config, vocabulary)
        self.lm_head = nn.Linear(config.hidden_size, vocabulary)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.lm_head.weight.device

    def prompt(self, ids: Sequence[int], start: int) -> Tensor:
        """Return embeddings of a text and of the start of speech behind it, (n + 1, hidden)."""
        text = self.text_embedding(torch.tensor(ids, device=self.device))
        return torch.cat([text, self.embedded([start])])

    def embedded(self, tokens: Sequence[int]) -> Tensor:
        """Return embeddings of speech tokens, (n, hidden)."""
        embeddings: Tensor = self.model.embed_tokens(torch.tensor(tokens, dtype=torch.int64, device=self.device))
        return embeddings

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """Decode positions after those of the cache.

        Args:
            x: Embeddings, (n, hidden).
            past: Keys and values per layer, each (kv_heads, positions, head_dim); empty at first; it grows.

        Returns:
            Logits, (n, vocabulary).
        """
        logits: Tensor = self.lm_head(self.model(x, past))
        return logits


class _Body(nn.Module):
    def __init__(self, config: DecoderConfig, vocabulary: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.hidden_size, config.norm_eps)
        assert config.rope is not None, "a Llama"
        self._theta, self._head_dim = config.rope.theta, config.head_dim

    def forward(self, x: Tensor, past: Past) -> Tensor:
        begin = past[0][0].shape[1] if past else 0
        angles = self._angles(torch.arange(begin, begin + len(x), device=x.device))
        for index, layer in enumerate(self.layers):
            x = layer(x, angles, past, index)
        normed: Tensor = self.norm(x)
        return normed

    def _angles(self, positions: Tensor) -> Tensor:
        """Return rotary angles, (n, head_dim)."""
        exponents = torch.arange(0, self._head_dim, 2, device=positions.device).float() / self._head_dim
        return (positions.float()[:, None] / self._theta**exponents).repeat(1, 2)


class _Layer(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.norm_eps)
        self.self_attn = _Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.norm_eps)
        self.mlp = _MLP(config)

    def forward(self, x: Tensor, angles: Tensor, past: Past, index: int) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), angles, past, index)
        after: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return after


class _Attention(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        hidden, width = config.hidden_size, config.head_dim
        self.q_proj = nn.Linear(hidden, config.heads * width, bias=False)
        self.k_proj = nn.Linear(hidden, config.kv_heads * width, bias=False)
        self.v_proj = nn.Linear(hidden, config.kv_heads * width, bias=False)
        self.o_proj = nn.Linear(config.heads * width, hidden, bias=False)
        self.q_norm = nn.RMSNorm(width, config.norm_eps)
        self.k_norm = nn.RMSNorm(width, config.norm_eps)
        self._group = config.heads // config.kv_heads
        self._width = width

    def forward(self, x: Tensor, angles: Tensor, past: Past, index: int) -> Tensor:
        q = _rotated(self.q_norm(self._heads(self.q_proj(x))), angles)
        k = _rotated(self.k_norm(self._heads(self.k_proj(x))), angles)
        v = self._heads(self.v_proj(x))
        if index < len(past):
            k, v = torch.cat([past[index][0], k], 1), torch.cat([past[index][1], v], 1)
            past[index] = (k, v)
        else:
            past.append((k, v))
        k, v = (t.repeat_interleave(self._group, 0) for t in (k, v))
        seen = torch.ones(len(x), k.shape[1], dtype=torch.bool, device=x.device).tril(k.shape[1] - len(x))
        attended = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        out: Tensor = self.o_proj(attended.transpose(0, 1).flatten(1))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """Reshape (n, heads * head_dim) to (heads, n, head_dim)."""
        return x.view(len(x), -1, self._width).transpose(0, 1)


class _MLP(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.mlp_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.mlp_size, bias=False)
        self.down_proj = nn.Linear(config.mlp_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


def _rotated(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate heads of shape (heads, n, head_dim)."""
    first, second = x.chunk(2, -1)
    return x * angles.cos() + torch.cat([-second, first], -1) * angles.sin()
