"""What functions make of recordings, made once per content of the file and function."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.contract.voice_cache import VoiceCache
from realtts.errors import VoiceNotFound
from realtts.folders import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.settings import Settings

__all__ = ["VoiceEmbeddings"]


class VoiceEmbeddings:
    """Embeddings in memory and, of functions that mean the same in every process, on disk.

    Args:
        settings: How much there may be in both, and where.
    """

    def __init__(self, settings: Settings) -> None:
        self._cache = DiskVoiceCache(
            VoiceCache(settings.voice_cache_mb << 20),
            max_bytes=settings.voice_cache_disk_mb << 20,
            folder=cache_folder(settings.data_dir) / "optimizer",
        )

    def get(self, audio_path: str | Path, embedding_fn: Callable[[str | Path], Any], model_name: str) -> Any:
        """As `realtts.accel.optimizer.AdvancedTTSOptimizer.get_voice_embedding`."""
        try:
            content = Path(audio_path).read_bytes()
        except OSError as error:
            raise VoiceNotFound(
                f"it cannot be read ({error.strerror})", who=str(audio_path), fix="give the path of an audio file"
            ) from None
        digest = hashlib.sha256(content).hexdigest()
        name = _name_of(embedding_fn)
        if name is not None:
            return self._cache.get_or_compute(f"{model_name}/{name}/{digest}", lambda: embedding_fn(audio_path))
        # With the function, so that no other object gets its id while the embedding is kept.
        _, embedding = self._cache.memory.get_or_compute(
            f"{model_name}/{_identity_of(embedding_fn)}/{digest}", lambda: (embedding_fn, embedding_fn(audio_path))
        )
        return embedding

    def clear(self) -> None:
        """Forget all, on disk too."""
        self._cache.clear(disk=True)

    def stats(self) -> dict[str, Any]:
        """Return sizes and counts of hits and misses."""
        return self._cache.stats()


def _name_of(function: Callable[..., Any]) -> str | None:
    """Return the name that means a function in every process; None for lambdas, methods, closures and other objects.

    Functions of ``__main__`` have none: each script has its own.
    """
    if not isinstance(function, FunctionType) or function.__closure__ or function.__module__ in {None, "__main__"}:
        return None
    named = getattr(sys.modules.get(function.__module__), function.__qualname__, None)
    return f"{function.__module__}.{function.__qualname__}" if named is function else None


def _identity_of(function: Callable[..., Any]) -> str:
    """Return a key for an object while it lives; a method is a new object at each access, so it gets its instance's."""
    parts = (function.__self__, function.__func__) if isinstance(function, MethodType) else (function,)
    return "#".join(str(id(part)) for part in parts)
