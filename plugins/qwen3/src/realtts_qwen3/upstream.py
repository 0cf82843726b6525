"""The one place that imports qwen-tts, so that what its import needs or does to the process is mended once.

- ``qwen_tts.core`` imports the tokenizer of 25 Hz, and with it torchaudio, onnxruntime, sox and einops, and prints. No
  checkpoint that is spoken here uses it: a stand-in answers while the rest is imported.
- qwen-tts runs with the transformers that it pins, and up to 4.57; with newer ones the codec's encoder is silently left
  without its weights. So another transformers counts as none.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import threading
import types
from importlib import metadata
from typing import TYPE_CHECKING, Any

from realtts.accel.upstream import quiet
from realtts.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load_upstream", "module", "quiet", "why_not"]

_lock = threading.Lock()

_OTHER_CODEC = "qwen_tts.core.tokenizer_25hz.modeling_qwen3_tts_tokenizer_v1"
_FIX = "install realtts-qwen3[upstream] in an environment of its own"


def why_not() -> str | None:
    """Why upstream's package cannot be used here; None: it can. Nothing is imported."""
    for name in ("qwen_tts", "transformers", "librosa"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    version = metadata.version("transformers")
    if tuple(version.split(".")[:2]) != ("4", "57"):
        return f"transformers is {version}, and qwen-tts needs 4.57"
    return None


def load_upstream() -> None:
    """Import what the plain variant uses of qwen-tts.

    Raises:
        MissingExtra: It, or something that it needs, is not installed, or in another version.
    """
    module("qwen_tts.core.models.modeling_qwen3_tts")


def module(name: str) -> Any:
    """A module of qwen-tts or of what it brings.

    Raises:
        MissingExtra: It is not installed, or something that it needs, or in another version.
    """
    with _lock:
        if name in sys.modules:
            return sys.modules[name]
        if reason := why_not():
            raise MissingExtra(reason, who="qwen3", fix=_FIX)
        try:
            with _without_other_codec(), quiet():
                return importlib.import_module(name)
        except ImportError as error:
            what = f"{error.name or name} cannot be imported: {error}"
            raise MissingExtra(what, who="qwen3", fix=_FIX) from error


@contextlib.contextmanager
def _without_other_codec() -> Iterator[None]:
    """Inside, the codec of 25 Hz can be imported and is empty; whoever wants it later gets the real one."""
    if _OTHER_CODEC in sys.modules:
        yield
        return
    stand_in = types.ModuleType(_OTHER_CODEC)
    stand_in.Qwen3TTSTokenizerV1Model = type("Qwen3TTSTokenizerV1Model", (), {})  # type: ignore[attr-defined]
    sys.modules[_OTHER_CODEC] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(_OTHER_CODEC) is stand_in:
            del sys.modules[_OTHER_CODEC]
