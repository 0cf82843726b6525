"""Which files a model has. Imports nothing heavy: the spec reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.kit.reading import NOTE
from realtts.kit.shards import with_shards

if TYPE_CHECKING:
    from realtts.contract.spec import WantedFile
    from realtts_f5.configurations import Configuration

__all__ = [
    "TELLING",
    "USUAL",
    "VOCABULARY",
    "VOCODER",
    "VOCODER_CONFIG",
    "VOCODER_FILES",
    "VOCODER_FOLDERS",
    "files_of",
]

TELLING: tuple[WantedFile, ...] = ((NOTE, None), ("*.yaml", None))
"""Files that say which configuration the weights beside them are of."""

VOCABULARY = "vocab.txt"
"""A symbol per line."""

USUAL = tuple(
    f"{name}{suffix}"
    for suffix in (".safetensors", ".pt")
    for name in ("model_1250000", "model_1200000", "model_last", "model")
)
"""Names of weights in repositories that the plugin does not know, the likeliest first."""

VOCODER = ("pytorch_model.bin", "model.safetensors")
"""Weights of the vocoder."""

VOCODER_CONFIG = "config.yaml"
"""The vocoder's configuration, compared with the one that is supported."""

VOCODER_FILES: tuple[WantedFile, ...] = with_shards((VOCODER, (VOCODER_CONFIG, None)))

VOCODER_FOLDERS = ("vocos", "vocos-mel-24khz")
"""Folders beside the weights in which the vocoder may lie."""


def files_of(configuration: Configuration | None) -> tuple[WantedFile, ...]:
    """List the files to fetch of a model's repository; None: one that the plugin does not know."""
    if configuration is None:
        return with_shards((USUAL, *TELLING, (VOCABULARY, None)))
    vocabulary = (configuration.vocabulary,)
    return (configuration.weights, (*vocabulary, None) if configuration.upstreams_vocabulary else vocabulary)
