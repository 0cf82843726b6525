"""The shape of a decoder, read from the configuration of transformers' Llama, Qwen2, Qwen3 and GPT-2 or by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from realtts.errors import CheckpointMismatch, DecoderError
from realtts.kit.entries import MOST_LAYERS, count, positive, reading_entries

__all__ = ["DecoderConfig", "Llama3Scaling", "Rope"]

_WHO = "decoder configuration"
_LLAMAS = ("llama", "qwen2", "qwen3")
_REQUIRED = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_GPT2_REQUIRED = ("n_embd", "n_layer", "n_head")
_GPT2_LACKS = ("scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "add_cross_attention")
_GPT2_ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")
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
    """A pre-norm decoder of one of two families.

    ``"llama"``: RMS norm, rotary attention, an MLP gated by SiLU, and no biases but those of ``qkv_bias``. ``"gpt2"``:
    LayerNorm, an MLP of GELU's tanh form, biases on every norm and linear layer, and no rotation: its learned positions
    are the embeddings' business, and so the caller's.

    Attributes:
        layers: Number of layers.
        hidden_size: Width of the residual stream.
        heads: Query heads.
        kv_heads: Key and value heads; divides ``heads``.
        head_dim: Width of a head.
        mlp_size: Width of the MLP.
        norm_eps: Epsilon of the norms.
        qk_norm: RMS norm on each head of queries and keys (Qwen3).
        qkv_bias: Biases on queries, keys and values (Qwen2); of ``"gpt2"`` they are always there.
        rope: Rotary embedding; None: none, which ``"gpt2"`` wants.
        family: ``"llama"`` or ``"gpt2"``; it also says what a checkpoint's tensors are called.

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
    rope: Rope | None = Rope()
    family: Literal["llama", "gpt2"] = "llama"

    def __post_init__(self) -> None:
        for name in ("layers", "hidden_size", "heads", "kv_heads", "head_dim", "mlp_size"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise _unsupported(f"{name} is {getattr(self, name)}", "give a positive number")
        if self.heads % self.kv_heads or (self.rope is not None and self.head_dim % 2):
            raise _unsupported(
                f"{self.heads} heads, {self.kv_heads} kv_heads, head_dim {self.head_dim}",
                "kv_heads must divide heads, and a head_dim that is rotated must be even",
            )
        if self.family == "gpt2":
            self._check_gpt2()

    def _check_gpt2(self) -> None:
        if self.rope is not None or self.qk_norm or self.qkv_bias:
            raise _unsupported("family is 'gpt2' with rope, qk_norm or qkv_bias", "give rope=None and leave the others")
        if self.kv_heads != self.heads or self.heads * self.head_dim != self.hidden_size:
            raise _unsupported(
                f"{self.heads} heads of {self.head_dim}, {self.kv_heads} kv_heads, width {self.hidden_size}",
                "in GPT-2 kv_heads equal heads, and heads times head_dim is the width",
            )

    @property
    def parameters(self) -> int:
        """Number of parameters in the matrices of all layers, by which every position is multiplied."""
        attention = self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        in_mlp = 2 if self.family == "gpt2" else 3
        return self.layers * self.hidden_size * (attention + in_mlp * self.mlp_size)

    @classmethod
    def from_transformers(cls, config: Mapping[str, Any] | Any) -> DecoderConfig:
        """Read a configuration of transformers, or the mapping in a ``config.json``.

        Raises:
            DecoderError: Another family, or a feature that this decoder lacks; names it.
            CheckpointMismatch: A value is missing; names it.
        """
        with reading_entries(_WHO):
            return cls._of(dict(config if isinstance(config, Mapping) else config.to_dict()))

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> DecoderConfig:
        family = values.get("model_type")
        if family == "gpt2":
            return cls(**_gpt2(values))
        if family not in _LLAMAS:
            families = ", ".join((*_LLAMAS, "gpt2"))
            raise _unsupported(f"model_type is {family!r:.60}", f"use one of {families}, or give DecoderConfig")
        _refuse_missing_features(values)
        _check_complete(values, _REQUIRED)
        heads, hidden = count(values, "num_attention_heads"), count(values, "hidden_size")
        bias = bool(values.get("attention_bias", False))
        if bias:
            raise _unsupported(
                "attention_bias is true, which puts a bias on the output projection too", "not supported"
            )
        return cls(
            layers=count(values, "num_hidden_layers", least=0, most=MOST_LAYERS),
            hidden_size=hidden,
            heads=heads,
            kv_heads=count(values, "num_key_value_heads", heads),
            head_dim=count(values, "head_dim", hidden // heads),
            mlp_size=count(values, "intermediate_size"),
            norm_eps=positive(values, "rms_norm_eps", 1e-6),
            qk_norm=family == "qwen3",
            qkv_bias=family == "qwen2",
            rope=_rope(values),
        )


def _gpt2(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `DecoderConfig` for a configuration of GPT-2."""
    _check_complete(values, _GPT2_REQUIRED)
    for name in _GPT2_LACKS:
        if values.get(name):
            raise _unsupported(f"{name} is true", "not supported")
    if not values.get("scale_attn_weights", True):
        raise _unsupported("scale_attn_weights is false", "only scaled attention is supported")
    activation = values.get("activation_function", _GPT2_ACTIVATIONS[0])
    if activation not in _GPT2_ACTIVATIONS:
        raise _unsupported(f"activation_function is {activation!r}", f"only {_GPT2_ACTIVATIONS[0]} is supported")
    hidden, heads = count(values, "n_embd"), count(values, "n_head")
    return {
        "layers": count(values, "n_layer", most=MOST_LAYERS),
        "hidden_size": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": hidden // heads,
        "mlp_size": count(values, "n_inner", 4 * hidden),
        "norm_eps": positive(values, "layer_norm_epsilon", 1e-5),
        "rope": None,
        "family": "gpt2",
    }


def _check_complete(values: Mapping[str, Any], names: Sequence[str]) -> None:
    absent = [name for name in names if values.get(name) is None]
    if absent:
        raise _incomplete(f"{absent[0]} is missing")


def _refuse_missing_features(values: Mapping[str, Any]) -> None:
    if values.get("hidden_act", "silu") != "silu":
        raise _unsupported(f"hidden_act is {values['hidden_act']!r}", "only silu is supported")
    if values.get("mlp_bias"):
        raise _unsupported("mlp_bias is true", "only MLPs without bias are supported")
    sliding = values.get("use_sliding_window") or "sliding_attention" in (values.get("layer_types") or ())
    if sliding:
        raise _unsupported("sliding-window attention is on", "only full attention is supported")


def _rope(values: Mapping[str, Any]) -> Rope:
    """Read the rotary parameters, under their names in transformers 4 or 5."""
    parameters = values.get("rope_parameters") or values.get("rope_scaling") or {}
    theta = parameters.get("rope_theta", values.get("rope_theta", 10000.0))
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    if parameters.get("partial_rotary_factor", values.get("partial_rotary_factor", 1.0)) != 1.0:
        raise _unsupported("partial_rotary_factor is not 1", "only full rotary heads are supported")
    if kind == "default":
        return Rope(positive({"rope_theta": theta}, "rope_theta"))
    if kind != "llama3":
        raise _unsupported(f"rope_type is {kind!r}", "only 'default' and 'llama3' are supported")
    absent = [name for name in _LLAMA3 if name not in parameters]
    if absent:
        raise _incomplete(f"rope_type is 'llama3' without {absent[0]}")
    factor, low, high = (positive(parameters, name) for name in _LLAMA3[:3])
    scaling = Llama3Scaling(factor, low, high, count(parameters, _LLAMA3[3]))
    return Rope(positive({"rope_theta": theta}, "rope_theta"), scaling)


def _incomplete(what: str) -> CheckpointMismatch:
    return CheckpointMismatch(what, who=_WHO, fix="give the model's whole config.json")


def _unsupported(what: str, fix: str) -> DecoderError:
    return DecoderError(what, who=_WHO, fix=fix)
