"""torchaudio where its compiled part does not fit the torch beside it.

The wheels of package indexes are built for one torch and one CUDA. Beside a torch for the CPU, or a newer one,
``import torchaudio`` dies of an `OSError` while it loads its library, and takes with it whoever imports it in passing
(transformers does, for `LlamaModel`). What speech models use of it, resampling and filter banks, is plain Python over
torch and works without the library. So the library is declared absent, which torchaudio itself provides for.

This changes what ``import torchaudio`` gives everybody in the process, from an error to a working package; a torchaudio
that can be imported as it is stays as it is.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING

from realtts.errors import MissingExtra

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["usable_torchaudio"]

_EXTENSION = "torchaudio.lib._torchaudio"
"""What torchaudio looks for, to know whether it has a compiled part; None in `sys.modules` says that it has none."""

_lock = threading.Lock()


def usable_torchaudio() -> ModuleType:
    """torchaudio, without its compiled part if that cannot be loaded. Call it before importing what needs torchaudio.

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
        sys.modules[_EXTENSION] = None  # type: ignore[assignment]
        try:
            return importlib.import_module("torchaudio")
        except Exception as error:
            _forget()
            what = f"it cannot be imported: {type(error).__name__}: {error}"
            raise _unusable(what, "install the torchaudio that was built for the installed torch") from error


def _forget() -> None:
    """Remove what a failed import has left: half of its modules, which a second import would take for whole ones."""
    for name in [name for name in sys.modules if name == "torchaudio" or name.startswith("torchaudio.")]:
        del sys.modules[name]


def _unusable(what: str, fix: str) -> MissingExtra:
    return MissingExtra(what, who="torchaudio", fix=fix)
