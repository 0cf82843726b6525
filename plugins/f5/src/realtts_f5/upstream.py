"""The one place that imports f5-tts, vocos and pydub, so that what their import needs or does is handled once.

- ``f5_tts.model`` imports its trainer, and with it wandb, accelerate, ema_pytorch and datasets. A stand-in answers
  while it is imported; whoever wants the trainer later gets the real one.
- ``f5_tts.model.modules`` imports librosa for the filters of another vocoder's mel spectrogram, which is not used here.
- torchdiffeq imports scipy.integrate, for a second, for a solver of that package; who chooses it still gets it.
- pydub warns of ffmpeg, which nothing here needs.
- torchaudio beside another torch than it was built for: `realtts.accel.upstream.torchaudio_import`.
- ``f5_tts.infer.utils_infer`` (matplotlib, transformers, changes of the environment and of ``sys.path``) is not
  imported at all; what it does is in `realtts_f5.frontend`, `realtts_f5.voices` and `realtts_f5.join`.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import TYPE_CHECKING, Any

from realtts.accel.upstream.packages import Package, stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load_upstream", "module"]


def _solve_ivp(*arguments: Any, **named: Any) -> Any:
    """Solve as ``scipy.integrate.solve_ivp``, which is imported now."""
    return importlib.import_module("scipy.integrate").solve_ivp(*arguments, **named)


_TRAINER = "f5_tts.model.trainer"
_STAND_INS: dict[str, dict[str, Any]] = {
    _TRAINER: {"Trainer": None},
    "librosa": {},
    "librosa.filters": {"mel": None},
    "scipy.integrate": {"solve_ivp": _solve_ivp},
}
"""Modules that speaking does not need, and the names in them that are imported."""


@contextlib.contextmanager
def _without() -> Iterator[None]:
    """Answer imports of what is not needed with empty modules; whoever wants the trainer later gets the real one."""
    left_out = _TRAINER not in sys.modules
    try:
        with stand_ins(_STAND_INS):
            yield
    finally:
        if left_out and "f5_tts.model" in sys.modules:
            _trainer_on_demand(sys.modules["f5_tts.model"])


module = Package(
    "f5",
    fix="install f5-tts with what it needs: realtts-f5's README says how",
    around=_without,
    torchaudio=True,
).module
"""A module of f5-tts or of what it brings; `realtts.accel.upstream.packages.Package.module`."""


def load_upstream() -> None:
    """Import what the plain variant uses of f5-tts and vocos.

    Raises:
        MissingExtra: One of them, or something that it needs, is not installed.
    """
    for name in ("f5_tts.model.cfm", "vocos.models", "vocos.heads"):
        module(name)


def _trainer_on_demand(package: Any) -> None:
    """Let a package whose trainer was left out import it when somebody asks for it."""
    for name in ("Trainer", "trainer"):
        vars(package).pop(name, None)

    def get(name: str) -> Any:
        if name == "Trainer":
            return importlib.import_module(_TRAINER).Trainer
        raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")

    package.__getattr__ = get
