"""The files of a model. Imports nothing heavy, because the spec reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.kit.shards import with_shards

if TYPE_CHECKING:
    from realtts.contract.spec import WantedFile

__all__ = ["CODEC", "CODEC_CONFIG", "FILES", "WEIGHTS"]

WEIGHTS = "model.safetensors"
"""Talker, code predictor and speaker encoder."""

CODEC = "speech_tokenizer/model.safetensors"
"""Encoder and decoder of the codec."""

CODEC_CONFIG = "speech_tokenizer/config.json"

FILES: tuple[WantedFile, ...] = with_shards(
    ("config.json", "generation_config.json", "vocab.json", "merges.txt", WEIGHTS, CODEC_CONFIG, CODEC)
)
"""Upstream's names. Its other files (``tokenizer_config.json``, ``preprocessor_config.json``) are the same in every
checkpoint."""
