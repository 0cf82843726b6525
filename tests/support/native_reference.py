"""A decoder in numpy, as simple as it can be, to compare the native one with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Shape:
    """The shape of a decoder, with small defaults."""

    layers: int = 2
    hidden: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    mlp: int = 96
    eps: float = 1e-6
    qk_norm: bool = False
    qkv_bias: bool = False
    rope: bool = True
    gpt2: bool = False
    vocabulary: int = 40
    positions: int = 64


@dataclass
class Tensors:
    """The tensors of a cache, as `realtts.accel.decoder.KVCache` has them, in numpy."""

    kv: Any
    slots: Any
    positions: Any
    valid: Any
    rotations: Any
    active: Any

    @classmethod
    def of(cls, shape: Shape, rows: int, cap: int, dtype: str = "float32") -> Tensors:
        """Make an empty cache, whose memory holds what must never be read."""
        kv = np.full((shape.layers, 2, rows, shape.kv_heads, cap + 1, shape.head_dim), np.nan, dtype)
        return cls(
            kv,
            np.zeros(rows, np.int64),
            np.zeros(rows, np.int64),
            np.zeros((rows, cap + 1), bool),
            np.zeros((rows, cap + 1), np.int64),
            np.ones(rows, bool),
        )

    @property
    def arguments(self) -> dict[str, Any]:
        """What the native cache is bound to."""
        return vars(self)

    def copy(self) -> Tensors:
        """Copy all of it."""
        return Tensors(**{name: array.copy() for name, array in vars(self).items()})


@dataclass
class Network:
    """Random float32 weights."""

    shape: Shape
    layers: list[dict[str, Any]] = field(default_factory=list)
    final: dict[str, Any] = field(default_factory=dict)
    head: Any = None

    @classmethod
    def random(cls, shape: Shape, seed: int = 0) -> Network:
        """Draw weights."""
        rng = np.random.default_rng(seed)

        def matrix(out: int, width: int) -> Any:
            return (rng.standard_normal((out, width)) / np.sqrt(width)).astype(np.float32)

        def vector(n: int, mean: float = 0.0) -> Any:
            return (mean + 0.2 * rng.standard_normal(n)).astype(np.float32)

        s = shape
        layers = []
        for _ in range(s.layers):
            up = s.mlp if s.gpt2 else 2 * s.mlp
            sizes = {
                "qkv": ((s.heads + 2 * s.kv_heads) * s.head_dim, s.hidden),
                "out": (s.hidden, s.heads * s.head_dim),
                "gate_up": (up, s.hidden),
                "down": (s.hidden, s.mlp),
            }
            layer: dict[str, Any] = {name: matrix(*size) for name, size in sizes.items()}
            biased = list(sizes) if s.gpt2 else ["qkv"] if s.qkv_bias else []
            layer |= {f"{name}_bias": vector(sizes[name][0]) for name in biased}
            layer |= {name: vector(s.hidden, 1.0) for name in ("input_norm", "mlp_norm")}
            if s.gpt2:
                layer |= {f"{name}_bias": vector(s.hidden) for name in ("input_norm", "mlp_norm")}
            if s.qk_norm:
                layer |= {name: vector(s.head_dim, 1.0) for name in ("q_norm", "k_norm")}
            layers.append(layer)
        final = {"final_norm": vector(s.hidden, 1.0)}
        if s.gpt2:
            final["final_norm_bias"] = vector(s.hidden)
        return cls(shape, layers, final, matrix(s.vocabulary, s.hidden))

    @property
    def tables(self) -> tuple[Any, Any]:
        """Cosine and signed sine of every position, float32 (positions, head_dim)."""
        half = self.shape.head_dim // 2
        angles = np.arange(self.shape.positions)[:, None] / 10000.0 ** (np.arange(half) / half)
        cos, sin = np.cos(angles), np.sin(angles)
        return (
            np.concatenate([cos, cos], -1).astype(np.float32),
            np.concatenate([-sin, sin], -1).astype(np.float32),
        )


def native_step(network: Network, kind: str = "bf16", **options: Any) -> Any:
    """Pack a network for the native step."""
    from realtts_native import Layer, Step, Weight

    s = network.shape
    layers = []
    for values in network.layers:
        packed = {
            name: Weight.pack(
                values[name],
                kind,
                bias=values.get(f"{name}_bias"),
                parts=2 if name == "gate_up" and not s.gpt2 else 1,
            )
            for name in ("qkv", "out", "gate_up", "down")
        }
        small = {name: value for name, value in values.items() if "norm" in name}
        layers.append(Layer(**packed, **small))
    tables = dict(zip(("cos", "sin"), network.tables, strict=True)) if s.rope else {}
    return Step(
        layers, heads=s.heads, kv_heads=s.kv_heads, head_dim=s.head_dim, eps=s.eps, gated=not s.gpt2,
        head=Weight.pack(network.head, kind), **network.final, **tables, **options,
    )  # fmt: skip


def rounded(network: Network, kind: str) -> Network:
    """Return the network whose matrices are what the packed ones stand for."""
    from realtts_native import Weight

    names = ("qkv", "out", "gate_up", "down")
    layers = [
        {name: Weight.pack(value, kind).dequantized() if name in names else value for name, value in layer.items()}
        for layer in network.layers
    ]
    return Network(network.shape, layers, network.final, Weight.pack(network.head, kind).dequantized())


def _normed(x: Any, weight: Any, bias: Any, eps: float) -> Any:
    if bias is None:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * weight + bias


def _attention(
    shape: Shape, cache: Tensors, q: Any, attended: int, *, layer: int, row: int, head: int
) -> tuple[Any, Any]:
    valid, weights = cache.valid[row, :attended], np.zeros(attended)
    if not valid.any():
        return weights, np.zeros(shape.head_dim)
    stored = cache.kv[layer, :, row, head // (shape.heads // shape.kv_heads), :attended][:, valid].astype(np.float64)
    scores = stored[0] @ q / np.sqrt(shape.head_dim)
    weights[valid] = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    return weights, weights[valid] @ stored[1]


def step(
    network: Network,
    x: Any,
    cache: Tensors,
    rows: list[int],
    attended: int,
    *,
    taps: dict[tuple[int, int], Any] | None = None,
) -> tuple[Any, Any]:
    """Decode one position of some rows as `realtts.accel.decoder.Decoder.step` does; return hidden states and logits.

    Attention weights of the pairs (layer, head) in ``taps`` are written to their arrays (rows, cap).
    """
    s = network.shape
    x = x.astype(np.float64)
    slots = np.where(cache.active[rows], cache.slots[rows], cache.valid.shape[1] - 1)
    cache.valid[rows, slots] = cache.active[rows]
    cache.rotations[rows, slots] = cache.positions[rows]
    turned = np.minimum(cache.positions[rows], s.positions - 1)
    cos, sin = (table.astype(np.float64)[turned] for table in network.tables)
    for index, layer in enumerate(network.layers):
        h = _normed(x, layer["input_norm"], layer.get("input_norm_bias"), s.eps)
        qkv = h @ layer["qkv"].T.astype(np.float64) + layer.get("qkv_bias", 0.0)
        qkv = qkv.reshape(len(rows), s.heads + 2 * s.kv_heads, s.head_dim)
        q, k, v = np.split(qkv, [s.heads, s.heads + s.kv_heads], 1)
        if s.qk_norm:
            q, k = _normed(q, layer["q_norm"], None, s.eps), _normed(k, layer["k_norm"], None, s.eps)
        if s.rope:
            q, k = (t * cos[:, None] + np.roll(t, s.head_dim // 2, -1) * sin[:, None] for t in (q, k))
        cache.kv[index, 0, rows, :, slots], cache.kv[index, 1, rows, :, slots] = k, v
        mixed = np.zeros_like(q)
        for place, row in enumerate(rows):
            for head in range(s.heads):
                weights, values = _attention(s, cache, q[place, head], attended, layer=index, row=row, head=head)
                mixed[place, head] = values
                if taps is not None and (index, head) in taps and cache.active[row]:
                    taps[index, head][row, :attended] = weights
        x = x + mixed.reshape(len(rows), -1) @ layer["out"].T + layer.get("out_bias", 0.0)
        h = _normed(x, layer["mlp_norm"], layer.get("mlp_norm_bias"), s.eps)
        up = h @ layer["gate_up"].T + layer.get("gate_up_bias", 0.0)
        if s.gpt2:
            up = 0.5 * up * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
        else:
            gate, up = np.split(up, 2, -1)
            up = gate / (1 + np.exp(-gate)) * up
        x = x + up @ layer["down"].T + layer.get("down_bias", 0.0)
    cache.slots[rows] += cache.active[rows]
    cache.positions[rows] += cache.active[rows]
    hidden = _normed(x, network.final["final_norm"], network.final.get("final_norm_bias"), s.eps)
    return hidden, hidden @ network.head.T
