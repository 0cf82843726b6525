"""The published models by name, and the shapes of their networks. Imports nothing heavy: the spec reads it."""

from __future__ import annotations

from dataclasses import dataclass

from realtts_f5.sizes import Architecture

__all__ = ["CONFIGURATIONS", "FIX", "VOCODER_ID", "Configuration"]

VOCODER_ID = "charactr/vocos-mel-24khz"
"""The vocoder of all of them: Vocos (Siuzdak, 2023, arXiv:2306.00814)."""

FIX = "name the configuration that the file belongs to, or fetch the checkpoint again"
"""What errors advise of a network's file that is of another configuration."""


@dataclass(frozen=True)
class Configuration:
    """A model that was trained and published, or a size that users train.

    Attributes:
        name: Ours, as in ``model="f5-v1-base"``.
        upstream: Upstream's name: of its configuration file and of its folder on the hub; several may share one.
        architecture: Shape of the network.
        source: Hub id; empty where nobody published weights.
        weights: The file's name in that repository; others are taken if it is not there, best first.
        vocabulary: The vocabulary's name in that repository.
        licence: Of the weights.
        size_bytes: Of the weights' file, about: its parameters at four bytes each.
        upstreams_vocabulary: It was trained with the vocabulary that f5-tts brings, so that its own may be missing.
    """

    name: str
    upstream: str
    architecture: Architecture
    source: str = ""
    weights: tuple[str, ...] = ()
    vocabulary: str = ""
    licence: str = ""
    size_bytes: int | None = None
    upstreams_vocabulary: bool = True


_V1 = Architecture("dit", 1024, 22, 16, 2, 512, 4, text_mask_padding=True)
_V0 = Architecture("dit", 1024, 22, 16, 2, 512, 4, text_mask_padding=False, rotary_heads=1)
_V1_SMALL = Architecture("dit", 768, 18, 12, 2, 512, 4, text_mask_padding=True)
# E2-TTS embeds text as wide as the mel spectrogram, and has no network over it.
_E2 = Architecture("unet", 1024, 24, 16, 4, 100, 0, text_mask_padding=False, rotary_heads=1)

CONFIGURATIONS = {
    configuration.name: configuration
    for configuration in (
        Configuration(
            "f5-v1-base", "F5TTS_v1_Base", _V1, "SWivid/F5-TTS",
            ("F5TTS_v1_Base/model_1250000.safetensors",), "F5TTS_v1_Base/vocab.txt", "CC-BY-NC-4.0", 1_348_000_000,
        ),
        Configuration(
            "f5-v0-base", "F5TTS_Base", _V0, "SWivid/F5-TTS",
            ("F5TTS_Base/model_1200000.safetensors",), "F5TTS_Base/vocab.txt", "CC-BY-NC-4.0", 1_348_000_000,
        ),
        # A size of upstream's configurations, of which it has published no weights (SWivid/F5-TTS, issue 1226).
        Configuration("f5-v1-small", "F5TTS_v1_Small", _V1_SMALL),
        Configuration(
            "e2-base", "E2TTS_Base", _E2, "SWivid/E2-TTS",
            ("E2TTS_Base/model_1200000.safetensors",), "E2TTS_Base/vocab.txt", "CC-BY-NC-4.0", 1_333_000_000,
        ),
        Configuration(
            "f5-spanish", "F5TTS_Base", _V0, "jpgallegoar/F5-Spanish",
            ("model_1200000.safetensors", "model_last.safetensors"), "vocab.txt", "CC0-1.0", 1_348_000_000,
            upstreams_vocabulary=False,
        ),
    )
}  # fmt: skip
"""By name; the first is the default."""
