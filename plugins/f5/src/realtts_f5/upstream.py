"""The one place that imports f5-tts, vocos and pydub, so that what their import needs or does is mended once.

- ``f5_tts.model`` imports its trainer, and with it wandb, accelerate, ema_pytorch and datasets. A stand-in answers
  while it is imported; whoever wants the trainer later gets the real one.
- ``f5_tts.model.modules`` imports librosa for the filters of another vocoder's mel spectrogram, which is not used here.
- pydub warns of ffmpeg, which nothing here needs.
- torchaudio beside another torch than it was built for: `realtts.accel.torchaudio_import`.
- ``f5_tts.infer.utils_infer`` (matplotlib, transformers, changes of the environment and of ``sys.path``) is not
  imported at all; what it does is in `realtts_f5.frontend`, `realtts_f5.voices` and `realtts_f5.join`.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import types
import warnings
from typing import TYPE_CHECKING, Any

from realtts.accel.torchaudio_import import usable_torchaudio
from realtts.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load_upstream", "module", "quiet"]

_lock = threading.Lock()

_TRAINER = "f5_tts.model.trainer"
_STAND_INS = {_TRAINER: {"Trainer": None}, "librosa": {}, "librosa.filters": {"mel": None}}
"""What is not wanted of an import, and the names in it that are asked for."""


def load_upstream() -> None:
    """Import what the plain variant uses of f5-tts and vocos.

    Raises:
        MissingExtra: One of them, or something that it needs, is not installed.
    """
    for name in ("f5_tts.model.cfm", "vocos.models", "vocos.heads"):
        module(name)


def module(name: str) -> Any:
    """A module of f5-tts or of what it brings.

    Raises:
        MissingExtra: It is not installed, or something that it needs.
    """
    with _lock:
        if name in sys.modules:
            return sys.modules[name]
        usable_torchaudio()
        try:
            with _stand_ins(), quiet():
                found = importlib.import_module(name)
        except ImportError as error:
            raise MissingExtra(
                f"{error.name or name} cannot be imported: {error}", who="f5",
                fix="install f5-tts with what it needs: realtts-f5's README says how",
            ) from error  # fmt: skip
        return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, warnings that are upstream's own affair do not reach the user."""
    with warnings.catch_warnings():
        for kind in (FutureWarning, DeprecationWarning, UserWarning, SyntaxWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        yield


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Inside, what is not wanted can be imported and is empty; what was imported before stays."""
    placed = {name: content for name, content in _STAND_INS.items() if name not in sys.modules}
    for name, content in placed.items():
        stand_in = types.ModuleType(name)
        vars(stand_in).update(content, __path__=[])
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in placed:
            sys.modules.pop(name, None)
        if _TRAINER in placed and "f5_tts.model" in sys.modules:
            _trainer_on_demand(sys.modules["f5_tts.model"])


def _trainer_on_demand(package: Any) -> None:
    """Let a package whose trainer was left out import it when somebody asks for it."""
    for name in ("Trainer", "trainer"):
        vars(package).pop(name, None)

    def get(name: str) -> Any:
        if name == "Trainer":
            return importlib.import_module(_TRAINER).Trainer
        raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")

    package.__getattr__ = get
