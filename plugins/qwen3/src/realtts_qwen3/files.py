"""Which files a checkpoint has. Imports nothing heavy: the spec reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.spec import WantedFile

__all__ = ["CODEC", "FILES", "MODELS", "WEIGHTS"]

WEIGHTS = "model.safetensors"
"""Talker, code predictor and speaker encoder."""

CODEC = "speech_tokenizer/model.safetensors"
"""Encoder and decoder of the codec."""

FILES: tuple[WantedFile, ...] = (
    "config.json", "generation_config.json", "vocab.json", "merges.txt", WEIGHTS, "speech_tokenizer/config.json", CODEC,
)  # fmt: skip
"""Upstream's names. Its other files (``tokenizer_config.json``, ``preprocessor_config.json``) say nothing that is not
the same in all of its checkpoints."""

MODELS = {
    "0.6b-custom-voice": "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice",
    "0.6b-base": "Qwen/Qwen3-TTS-12Hz-0.6B-Base",
    "1.7b-base": "Qwen/Qwen3-TTS-12Hz-1.7B-Base",
    "1.7b-custom-voice": "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice",
    "1.7b-voice-design": "Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign",
}
"""Name of the checkpoint -> hub id; the first is the default, and speaks without a recording."""
