"""The published models by name, and what their configuration files say. Imports nothing heavy: the spec reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "CODEC_ID",
    "CODES",
    "CONFIGURATIONS",
    "SEMANTIC_ID",
    "TURBO",
    "TURBO_CODEC_ID",
    "Configuration",
    "codec_config",
    "model_config",
]

CODEC_ID = "neuphonic/neucodec"
"""The codec of all but v3."""

SEMANTIC_ID = "facebook/w2v-bert-2.0"
"""A part of that codec's encoder, which its package's file lacks."""

TURBO_CODEC_ID = "OpenMOSS-Team/MOSS-Audio-Tokenizer-Nano-ONNX"
"""The codec of v3 Turbo."""

CODES = 65536
"""Codes of the codec, each a token ``<|speech_N|>``."""

TURBO = "v3-turbo"
"""The configuration of another architecture, spoken by upstream's own package."""


@dataclass(frozen=True)
class Configuration:
    """A model that was trained and published.

    Attributes:
        name: As in ``model="v2"``.
        source: Hub id.
        prompt: Form of the prompts that it was trained with: ``"chat"`` or ``"tags"``.
        licence: Of the weights.
        size_bytes: Approximate size of the weights' file; None: unknown.
    """

    name: str
    source: str
    prompt: str
    licence: str
    size_bytes: int | None = None


CONFIGURATIONS = {
    configuration.name: configuration
    for configuration in (
        Configuration("v2", "pnnbao-ump/VieNeu-TTS-v2", "tags", "Apache-2.0"),
        Configuration("v1", "pnnbao-ump/VieNeu-TTS", "chat", "Apache-2.0", 1_105_000_000),
        Configuration("0.3b", "pnnbao-ump/VieNeu-TTS-0.3B", "tags", "CC-BY-NC-4.0"),
        Configuration(TURBO, "pnnbao-ump/VieNeu-TTS-v3-Turbo", "tags", "Apache-2.0"),
    )
}
"""By name; the first is the default."""


def model_config(model: str, size: str, vocabulary: int) -> dict[str, Any]:
    """Return the ``config.json`` of a language model, for random checkpoints.

    Args:
        model: ``"v1"``, the shape of Qwen2.5-0.5B; ``"0.3b"`` or ``"v2"``, a Llama of 0.3 B, whose widths upstream's
            package does not say: 20 layers of 1024.
        size: ``"full"`` or ``"tiny"``.
        vocabulary: Tokens.
    """
    common = {
        "vocab_size": vocabulary, "hidden_act": "silu", "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
        "use_cache": True, "torch_dtype": "bfloat16", "attention_dropout": 0.0,
    }  # fmt: skip
    tiny = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2}  # fmt: skip
    if model == "v1":
        full = {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
                "num_key_value_heads": 2}  # fmt: skip
        family = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rope_theta": 1000000.0,
                  "max_position_embeddings": 32768, "use_sliding_window": False}  # fmt: skip
    else:
        full = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 20, "num_attention_heads": 16,
                "num_key_value_heads": 8, "head_dim": 64}  # fmt: skip
        family = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "rope_theta": 10000.0,
                  "max_position_embeddings": 2048, "attention_bias": False, "mlp_bias": False}  # fmt: skip
    return {**family, **common, **(full if size == "full" else tiny)}


def codec_config(size: str) -> dict[str, Any]:
    """Return the ``config.json`` of the codec in transformers' form.

    ``quantization_dim`` is the sum of the codec's width and the semantic model's, whose frames are quantized together.
    """
    semantic: dict[str, Any] = {"model_type": "wav2vec2-bert", "num_hidden_layers": 16}
    config: dict[str, Any] = {"model_type": "neucodec", "architectures": ["NeuCodecModel"]}
    if size == "tiny":
        config |= {
            "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 4, "head_dim": 16, "encoder_hidden_size": 4, "quantization_dim": 128,
        }  # fmt: skip
        semantic |= {
            "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4,
            "conv_depthwise_kernel_size": 3, "feature_projection_input_dim": 160,
        }  # fmt: skip
    return {**config, "semantic_model_config": semantic}
