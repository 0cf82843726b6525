"""The published models by name, and their configuration files. Imports nothing heavy, because the spec reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "CONFIGURATIONS",
    "DIALECTS",
    "FIRST_SPECIAL",
    "SPEAKERS",
    "Configuration",
    "codec_config",
    "generation_config",
    "model_config",
]

FIRST_SPECIAL = {"full": 151643, "tiny": 400}
"""Id of ``<|endoftext|>``, by size; the other special tokens follow."""


@dataclass(frozen=True)
class Configuration:
    """A model that was trained and published.

    Attributes:
        name: Name of the checkpoint, as in ``model="0.6b-base"``.
        source: Hub id.
        scale: ``"0.6b"`` or ``"1.7b"``.
        kind: As in its ``config.json``: ``"base"``, ``"custom_voice"`` or ``"voice_design"``.
        licence: Licence of the weights.
        size_bytes: Approximate size of the weights' files; None: unknown.
    """

    name: str
    source: str
    scale: str
    kind: str
    licence: str = "Apache-2.0"
    size_bytes: int | None = None


CONFIGURATIONS = {
    configuration.name: configuration
    for configuration in (
        Configuration("0.6b-custom-voice", "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice", "0.6b", "custom_voice"),
        Configuration("0.6b-base", "Qwen/Qwen3-TTS-12Hz-0.6B-Base", "0.6b", "base"),
        Configuration("1.7b-base", "Qwen/Qwen3-TTS-12Hz-1.7B-Base", "1.7b", "base"),
        Configuration("1.7b-custom-voice", "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice", "1.7b", "custom_voice"),
        Configuration("1.7b-voice-design", "Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign", "1.7b", "voice_design"),
    )
}
"""By name; the first is the default, and speaks without a recording."""

_LANGUAGES = {
    "chinese": 2055, "english": 2050, "german": 2053, "italian": 2070, "portuguese": 2071, "spanish": 2054,
    "japanese": 2058, "korean": 2064, "french": 2061, "russian": 2069,
}  # fmt: skip
_DIALECTS = {"beijing_dialect": 2074, "sichuan_dialect": 2062}
SPEAKERS = {
    "serena": 3066, "vivian": 3065, "uncle_fu": 3010, "ryan": 3061, "aiden": 2861, "ono_anna": 2873, "sohee": 2864,
    "eric": 2875, "dylan": 2878,
}  # fmt: skip
DIALECTS = {"eric": "sichuan_dialect", "dylan": "beijing_dialect"}

_HEADS = {"full": (16, 8, 128), "tiny": (4, 2, 16)}
_WIDTHS = {
    ("full", "0.6b"): (1024, 3072),
    ("full", "1.7b"): (2048, 6144),
    ("tiny", "0.6b"): (64, 128),
    ("tiny", "1.7b"): (96, 192),
}
"""The talker's widths by size and scale: hidden, and inside the MLP."""


def model_config(model: str, size: str, tokens: dict[str, int]) -> dict[str, Any]:
    """Return a ``config.json``, for random checkpoints.

    Args:
        model: One of `CONFIGURATIONS`.
        size: ``"full"`` or ``"tiny"``; a tiny 1.7B, too, has a projection before its code predictor.
        tokens: Token -> id of the vocabulary.
    """
    scale, kind = CONFIGURATIONS[model].scale, CONFIGURATIONS[model].kind
    config: dict[str, Any] = {
        "architectures": ["Qwen3TTSForConditionalGeneration"],
        "model_type": "qwen3_tts",
        "tokenizer_type": "qwen3_tts_tokenizer_12hz",
        "tts_model_size": {"0.6b": "0b6", "1.7b": "1b7"}[scale],
        "tts_model_type": kind,
        "assistant_token_id": tokens["assistant"],
        "im_start_token_id": tokens["<|im_start|>"],
        "im_end_token_id": tokens["<|im_end|>"],
        "tts_pad_token_id": tokens["<tts_pad>"],
        "tts_bos_token_id": tokens["<tts_text_bos>"],
        "tts_eos_token_id": tokens["<tts_text_eod>"],
        "talker_config": _talker(scale, size, speakers=kind == "custom_voice"),
        # Without it newer versions of transformers take the tokenizer for one of Mistral's, and change it.
        "transformers_version": "4.57.1",
    }
    if kind == "base":
        config["speaker_encoder_config"] = {"enc_dim": _WIDTHS[size, scale][0], "sample_rate": 24000}
        if size == "tiny":
            config["speaker_encoder_config"] |= {
                "enc_channels": [16, 16, 16, 16, 48], "enc_attention_channels": 8, "enc_se_channels": 8,
                "enc_res2net_scale": 4,
            }  # fmt: skip
    return config


def generation_config() -> dict[str, Any]:
    """Return a ``generation_config.json``."""
    return {
        "do_sample": True, "repetition_penalty": 1.05, "temperature": 0.9, "top_p": 1.0, "top_k": 50,
        "subtalker_dosample": True, "subtalker_temperature": 0.9, "subtalker_top_p": 1.0, "subtalker_top_k": 50,
        "max_new_tokens": 8192,
    }  # fmt: skip


def codec_config(size: str) -> dict[str, Any]:
    """Return a ``speech_tokenizer/config.json``."""
    decoder = {
        "attention_bias": False, "attention_dropout": 0.0, "latent_dim": 1024, "codebook_dim": 512,
        "codebook_size": 2048, "decoder_dim": 1536, "hidden_act": "silu", "hidden_size": 512,
        "intermediate_size": 1024, "layer_scale_initial_scale": 0.01, "max_position_embeddings": 8000, "head_dim": 64,
        "num_attention_heads": 16, "num_hidden_layers": 8, "num_key_value_heads": 16, "num_quantizers": 16,
        "num_semantic_quantizers": 1, "rms_norm_eps": 1e-5, "rope_theta": 10000, "semantic_codebook_size": 4096,
        "sliding_window": 72, "upsample_rates": [8, 5, 4, 3], "upsampling_ratios": [2, 2],
        "vector_quantization_hidden_dimension": 512,
    }  # fmt: skip
    encoder = {
        "audio_channels": 1, "codebook_dim": 256, "codebook_size": 2048, "compress": 2, "dilation_growth_rate": 2,
        "head_dim": 64, "hidden_act": "gelu", "hidden_size": 512, "intermediate_size": 2048, "kernel_size": 7,
        "last_kernel_size": 3, "layer_scale_initial_scale": 0.01, "max_position_embeddings": 8000, "norm_eps": 1e-5,
        "num_attention_heads": 8, "num_filters": 64, "num_hidden_layers": 8, "num_key_value_heads": 8,
        "num_quantizers": 32, "num_residual_layers": 1, "num_semantic_quantizers": 1, "residual_kernel_size": 3,
        "rope_theta": 10000.0, "sampling_rate": 24000, "sliding_window": 250, "upsampling_ratios": [8, 6, 5, 4],
        "use_causal_conv": True, "use_conv_shortcut": False, "vector_quantization_hidden_dimension": 256,
        "upsample_groups": 512, "frame_rate": 12.5,
    }  # fmt: skip
    if size == "tiny":
        decoder |= {
            "latent_dim": 32, "codebook_dim": 32, "decoder_dim": 64, "hidden_size": 32, "intermediate_size": 64,
            "head_dim": 16, "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 2,
        }  # fmt: skip
        encoder |= {
            "hidden_size": 32, "intermediate_size": 64, "head_dim": 16, "num_attention_heads": 2,
            "num_key_value_heads": 2, "num_hidden_layers": 2, "num_filters": 4, "codebook_dim": 16,
            "vector_quantization_hidden_dimension": 16, "upsample_groups": 32,
        }  # fmt: skip
    return {
        "architectures": ["Qwen3TTSTokenizerV2Model"],
        "model_type": "qwen3_tts_tokenizer_12hz",
        "encoder_valid_num_quantizers": 16,
        "input_sample_rate": 24000,
        "output_sample_rate": 24000,
        "decode_upsample_rate": 1920,
        "encode_downsample_rate": 1920,
        "decoder_config": decoder,
        "encoder_config": encoder,
    }


def _talker(scale: str, size: str, *, speakers: bool) -> dict[str, Any]:
    hidden, intermediate = _WIDTHS[size, scale]
    return {
        **_backbone(size, hidden, intermediate, 28),
        "model_type": "qwen3_tts_talker",
        "vocab_size": 3072,
        "max_position_embeddings": 32768,
        "rope_scaling": {
            "interleaved": True,
            "mrope_section": [24, 20, 20] if size == "full" else [4, 2, 2],
            "rope_type": "default",
            "type": "default",
        },
        "num_code_groups": 16,
        "text_hidden_size": 2048 if size == "full" else 64,
        "text_vocab_size": 151936 if size == "full" else 512,
        "codec_bos_id": 2149,
        "codec_eos_token_id": 2150,
        "codec_pad_id": 2148,
        "codec_think_id": 2154,
        "codec_nothink_id": 2155,
        "codec_think_bos_id": 2156,
        "codec_think_eos_id": 2157,
        "codec_language_id": _LANGUAGES | (_DIALECTS if speakers else {}),
        "spk_id": SPEAKERS if speakers else {},
        "spk_is_dialect": {name: DIALECTS.get(name, False) for name in SPEAKERS} if speakers else {},
        "position_id_per_seconds": 13,
        "code_predictor_config": {
            **_backbone(size, 1024 if size == "full" else 64, 3072 if size == "full" else 128, 5),
            "model_type": "qwen3_tts_talker_code_predictor",
            "vocab_size": 2048,
            "num_code_groups": 16,
            "max_position_embeddings": 65536,
            "rope_scaling": None,
        },
    }


def _backbone(size: str, hidden: int, intermediate: int, layers: int) -> dict[str, Any]:
    heads, kv_heads, head_dim = _HEADS[size]
    return {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers if size == "full" else 2,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
        "attention_bias": False,
        "tie_word_embeddings": False,
    }
