"""The one place that imports qwen-tts, so that what its import needs or does to the process is handled once.

- ``qwen_tts.core`` imports the tokenizer of 25 Hz, and with it torchaudio, onnxruntime, sox and einops, and prints. No
  checkpoint of this provider uses it: a stand-in module takes its place while the rest is imported.
- qwen-tts runs with the transformers that it pins, and up to 4.57; with newer ones the codec's encoder is silently left
  without its weights. So another transformers counts as none.
"""

from __future__ import annotations

import importlib.util
from functools import partial
from importlib import metadata

from realtts.accel.upstream.packages import Package, stand_ins

__all__ = ["load_upstream", "module", "why_not"]

_OTHER_CODEC = "qwen_tts.core.tokenizer_25hz.modeling_qwen3_tts_tokenizer_v1"


def why_not() -> str | None:
    """Return why upstream's package cannot be used here, or None if it can. Imports nothing."""
    for name in ("qwen_tts", "transformers", "librosa"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    version = metadata.version("transformers")
    if tuple(version.split(".")[:2]) != ("4", "57"):
        return f"transformers is {version}, and qwen-tts needs 4.57"
    return None


module = Package(
    "qwen3",
    fix="install realtts-qwen3[upstream] in an environment of its own",
    around=partial(stand_ins, {_OTHER_CODEC: {"Qwen3TTSTokenizerV1Model": type("Qwen3TTSTokenizerV1Model", (), {})}}),
    why_not=why_not,
).module
"""Imports a module of qwen-tts or of its dependencies; `realtts.accel.upstream.packages.Package.module`."""


def load_upstream() -> None:
    """Import what the plain variant uses of qwen-tts.

    Raises:
        MissingExtra: It, or a dependency of it, is not installed, or in another version.
    """
    for part in ("models.modeling_qwen3_tts", "tokenizer_12hz.modeling_qwen3_tts_tokenizer_v2"):
        module(f"qwen_tts.core.{part}")
