"""torchaudio where its compiled part does not fit the torch beside it.

The wheels of package indexes are built for one torch and one CUDA. Beside a torch for the CPU, or a newer one,
``import torchaudio`` dies of an `OSError` while it loads its library, and takes with it whoever imports it in passing
(transformers does, for `LlamaModel`). What speech models use of it, resampling and filter banks, is plain Python over
torch and works without the library. So the library is declared absent, which torchaudio itself provides for: up to 2.8
by asking for a module, later by a module of its own that says what there is.

This changes what ``import torchaudio`` gives everybody in the process, from an error to a working package; a torchaudio
that can be imported as it is stays as it is.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

from realtts.errors import MissingExtra

__all__ = ["usable_torchaudio"]

_LIBRARY = "torchaudio.lib._torchaudio"
"""What torchaudio up to 2.8 looks for; None in `sys.modules` says that it is not there."""

_EXTENSION = "torchaudio._extension"
"""Where torchaudio since 2.9 loads its library from the folder, without asking whether it is a module."""

_lock = threading.Lock()


def usable_torchaudio() -> ModuleType:
    """Import torchaudio, without its compiled part if that cannot be loaded. Call it before importing what needs it.

    Raises:
        MissingExtra: It is not installed, or fails even as plain Python; the import's own error is ``__cause__``.
    """
    with _lock:
        try:
            return importlib.import_module("torchaudio")
        except ModuleNotFoundError as error:
            raise _unusable("it is not installed", "install torchaudio") from error
        except OSError:
            _forget()
        sys.modules[_LIBRARY] = None  # type: ignore[assignment]
        try:
            return importlib.import_module("torchaudio")
        except OSError:
            _forget()
        sys.modules[_EXTENSION] = _NoExtension(_EXTENSION)
        try:
            return importlib.import_module("torchaudio")
        except Exception as error:
            _forget()
            what = f"it cannot be imported: {type(error).__name__}: {error}"
            raise _unusable(what, "install the torchaudio that was built for the installed torch") from error


class _NoExtension(ModuleType):
    """What ``torchaudio._extension`` is where nothing was compiled: all that it says is there is not."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return False if name.startswith("_IS_") else _refuse


def _refuse(*_: Any, **__: Any) -> Any:
    """Stand in for a function of the library, and for a decorator, whose result can be called in vain."""
    return _refuse_call


def _refuse_call(*_: Any, **__: Any) -> Any:
    raise RuntimeError("torchaudio's compiled part does not fit the installed torch, and this function needs it")


def _forget() -> None:
    """Remove what a failed import has left: half of its modules, which a second import would take for whole ones."""
    for name in [name for name in sys.modules if name == "torchaudio" or name.startswith("torchaudio.")]:
        del sys.modules[name]


def _unusable(what: str, fix: str) -> MissingExtra:
    return MissingExtra(what, who="torchaudio", fix=fix)
