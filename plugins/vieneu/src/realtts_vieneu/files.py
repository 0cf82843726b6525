"""Which files a model has. Imports nothing heavy: the spec reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.kit.reading import NOTE
from realtts.kit.shards import with_shards
from realtts_vieneu.configurations import TURBO

if TYPE_CHECKING:
    from realtts.contract.spec import WantedFile
    from realtts_vieneu.configurations import Configuration

__all__ = [
    "CODEC",
    "CODEC_FILES",
    "CODEC_FOLDERS",
    "FILES",
    "GRAPHS",
    "MARK",
    "PACKED_CODEC",
    "TURBO_CODEC_FILES",
    "TURBO_FILES",
    "TURBO_VOICES",
    "VOICES",
    "WEIGHTS",
    "files_of",
]

WEIGHTS = "model.safetensors"
"""The language model."""

VOICES = "voices.json"
"""Voices that come with it, by name."""

TURBO_VOICES = "voices_v3_turbo.json"
"""Those of v3 Turbo, in its repository and in upstream's package."""

FILES: tuple[WantedFile, ...] = with_shards(
    ("config.json", "tokenizer.json", WEIGHTS, ("generation_config.json", None), (VOICES, None), (NOTE, None))
)
"""Files of a language model, with upstream's names but for the last."""

CODEC = "model.safetensors"
"""The codec in transformers' names, with its ``config.json``."""

PACKED_CODEC = "pytorch_model.bin"
"""The codec in the names of the package neucodec, of one size, without a configuration and without w2v-bert."""

CODEC_FILES: tuple[WantedFile, ...] = with_shards(((CODEC, PACKED_CODEC), ("config.json", None)))

CODEC_FOLDERS = ("codec", "neucodec")
"""Folders beside the weights in which the codec may lie."""

GRAPHS = "onnx_update"
"""Folder of v3 Turbo's networks in float32."""

MARK = f"{GRAPHS}/config.json"
"""The file by which v3 Turbo is recognised."""

_GRAPH_FILES = (
    "vieneu_prefill.onnx", "vieneu_decode_step.onnx", "vieneu_acoustic_cached.onnx", "vieneu_backbone_shared.data",
    "vieneu_v3_heads.npz", "config.json", "tokenizer.json",
)  # fmt: skip

TURBO_FILES: tuple[WantedFile, ...] = (
    *(f"{GRAPHS}/{name}" for name in _GRAPH_FILES),
    "speaker_encoder.onnx",
    ("denoiser.onnx", None),
    (TURBO_VOICES, None),
    (NOTE, None),
)
"""Files of v3 Turbo, as upstream's package reads them."""

TURBO_CODEC_FILES: tuple[WantedFile, ...] = (
    "moss_audio_tokenizer_decode_full.onnx", "moss_audio_tokenizer_decode_shared.data",
    "moss_audio_tokenizer_decode_step.onnx", "codec_browser_onnx_meta.json", "moss_audio_tokenizer_encode.onnx",
    "moss_audio_tokenizer_encode.data",
)  # fmt: skip
"""Files of its codec."""


def files_of(configuration: Configuration | None) -> tuple[WantedFile, ...]:
    """Return the files to fetch for a configuration; None: of a language model whose configuration is not known."""
    return TURBO_FILES if configuration is not None and configuration.name == TURBO else FILES
