"""The one place that imports transformers and upstream's package, so that what they need or do is mended once.

transformers imports torchaudio in passing, which beside another torch than it was built for takes everything down:
`realtts.accel.torchaudio_import`.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from typing import Any

from realtts.accel.torchaudio_import import usable_torchaudio
from realtts.accel.upstream import quiet
from realtts.errors import MissingExtra

__all__ = ["load_upstream", "module"]

_lock = threading.Lock()

_FIXES = {
    "transformers": "install transformers 5.23 or newer",
    "vieneu": "install realtts-vieneu[v3], which brings upstream's package",
    "onnx": "install onnx, which random graphs are written with",
}


def load_upstream() -> None:
    """Import what the plain variant uses of transformers.

    Raises:
        MissingExtra: It is not installed, or too old.
    """
    module("transformers.models.auto")
    for family in ("qwen2", "llama", "neucodec"):
        module(f"transformers.models.{family}.modeling_{family}")


def module(name: str) -> Any:
    """A module of transformers, or of upstream's package ``vieneu``.

    Raises:
        MissingExtra: It is not installed, or something that it needs, or too old.
    """
    with _lock:
        if name in sys.modules:
            return sys.modules[name]
        with contextlib.suppress(MissingExtra):  # without one nothing is wrong either
            usable_torchaudio()
        try:
            with quiet():
                return importlib.import_module(name)
        except ImportError as error:
            raise MissingExtra(
                f"{error.name or name} cannot be imported: {error}", who="vieneu",
                fix=_FIXES[name.partition(".")[0].removesuffix("_utils")],
            ) from error  # fmt: skip
