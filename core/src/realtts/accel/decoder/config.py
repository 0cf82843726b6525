"""The shape of a decoder, read from the configuration of transformers' Llama, Qwen2 and Qwen3 or written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from realtts.errors import CheckpointMismatch, DecoderError

__all__ = ["DecoderConfig", "Llama3Scaling", "Rope"]

_FAMILIES = ("llama", "qwen2", "qwen3")
_REQUIRED = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_LLAMA3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")


@dataclass(frozen=True)
class Llama3Scaling:
    """Frequency-dependent stretching of rotary positions, as Llama 3.1 does it.

    Attributes:
        factor: How far long wavelengths are stretched.
        low_freq_factor: Wavelengths above ``original_max_position / low_freq_factor`` are stretched in full.
        high_freq_factor: Wavelengths below ``original_max_position / high_freq_factor`` are left alone.
        original_max_position: Positions of the model's first training.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position: int


@dataclass(frozen=True)
class Rope:
    """Rotary position embedding (Su et al., 2021, arXiv:2104.09864), both halves rotated against each other.

    Attributes:
        theta: Base of the frequencies.
        scaling: None, or Llama 3.1's.
    """

    theta: float = 10000.0
    scaling: Llama3Scaling | None = None


@dataclass(frozen=True)
class DecoderConfig:
    """A pre-norm decoder with RMS norm, rotary attention and a gated SiLU MLP.

    Attributes:
        layers: Number of layers.
        hidden_size: Width of the residual stream.
        heads: Query heads.
        kv_heads: Key and value heads; divides ``heads``.
        head_dim: Width of a head.
        mlp_size: Width of the MLP.
        norm_eps: Epsilon of the norms.
        qk_norm: RMS norm on each head of queries and keys (Qwen3).
        qkv_bias: Biases on queries, keys and values (Qwen2).
        rope: Rotary embedding.

    Raises:
        DecoderError: Numbers that do not fit each other.
    """

    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp_size: int
    norm_eps: float = 1e-6
    qk_norm: bool = False
    qkv_bias: bool = False
    rope: Rope = Rope()

    def __post_init__(self) -> None:
        for name in ("layers", "hidden_size", "heads", "kv_heads", "head_dim", "mlp_size"):
            if getattr(self, name) < 1:
                raise _unsupported(f"{name} is {getattr(self, name)}", "give a positive number")
        if self.heads % self.kv_heads or self.head_dim % 2:
            raise _unsupported(
                f"{self.heads} heads, {self.kv_heads} kv_heads, head_dim {self.head_dim}",
                "kv_heads must divide heads, and head_dim must be even",
            )

    @classmethod
    def from_transformers(cls, config: Mapping[str, Any] | Any) -> DecoderConfig:
        """Read a configuration of transformers, or the mapping in a ``config.json``.

        Raises:
            DecoderError: Another family, or a feature that this decoder lacks; names it.
            CheckpointMismatch: A value is missing; names it.
        """
        values = dict(config if isinstance(config, Mapping) else config.to_dict())
        family = values.get("model_type")
        if family not in _FAMILIES:
            raise _unsupported(f"model_type is {family!r}", f"use one of {', '.join(_FAMILIES)}, or give DecoderConfig")
        _refuse_what_is_missing(values)
        absent = [name for name in _REQUIRED if values.get(name) is None]
        if absent:
            raise _incomplete(f"{absent[0]} is missing")
        heads, hidden = values["num_attention_heads"], values["hidden_size"]
        bias = bool(values.get("attention_bias", False))
        if bias:
            raise _unsupported(
                "attention_bias is true, which puts a bias on the output projection too", "not supported"
            )
        return cls(
            layers=values["num_hidden_layers"],
            hidden_size=hidden,
            heads=heads,
            kv_heads=values.get("num_key_value_heads") or heads,
            head_dim=values.get("head_dim") or hidden // heads,
            mlp_size=values["intermediate_size"],
            norm_eps=values.get("rms_norm_eps", 1e-6),
            qk_norm=family == "qwen3",
            qkv_bias=family == "qwen2",
            rope=_rope(values),
        )


def _refuse_what_is_missing(values: Mapping[str, Any]) -> None:
    if values.get("hidden_act", "silu") != "silu":
        raise _unsupported(f"hidden_act is {values['hidden_act']!r}", "only silu is supported")
    if values.get("mlp_bias"):
        raise _unsupported("mlp_bias is true", "only MLPs without bias are supported")
    sliding = values.get("use_sliding_window") or "sliding_attention" in (values.get("layer_types") or ())
    if sliding:
        raise _unsupported("sliding-window attention is on", "only full attention is supported")


def _rope(values: Mapping[str, Any]) -> Rope:
    """The rotary parameters, under their names of transformers 4 and 5."""
    parameters = values.get("rope_parameters") or values.get("rope_scaling") or {}
    theta = parameters.get("rope_theta", values.get("rope_theta", 10000.0))
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    if parameters.get("partial_rotary_factor", values.get("partial_rotary_factor", 1.0)) != 1.0:
        raise _unsupported("partial_rotary_factor is not 1", "only full rotary heads are supported")
    if kind == "default":
        return Rope(theta)
    if kind != "llama3":
        raise _unsupported(f"rope_type is {kind!r}", "only 'default' and 'llama3' are supported")
    absent = [name for name in _LLAMA3 if name not in parameters]
    if absent:
        raise _incomplete(f"rope_type is 'llama3' without {absent[0]}")
    return Rope(theta, Llama3Scaling(*(parameters[name] for name in _LLAMA3)))


def _incomplete(what: str) -> CheckpointMismatch:
    return CheckpointMismatch(what, who="decoder configuration", fix="give the model's whole config.json")


def _unsupported(what: str, fix: str) -> DecoderError:
    return DecoderError(what, who="decoder configuration", fix=fix)
