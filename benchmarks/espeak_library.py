"""What the scripts beside this one do with espeak's library."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import realtts_espeak.fitting
import realtts_espeak.synthesis
from realtts_espeak.library import fresh_library

if TYPE_CHECKING:
    import ctypes

_OPENED = contextlib.ExitStack()
"""Holds what would be unloaded when nothing refers to it."""


def keep_loaded() -> None:
    """Load the library once per process: to load it anew for each text takes longer than the rest."""
    library = _OPENED.enter_context(fresh_library())

    def loaded() -> contextlib.AbstractContextManager[ctypes.CDLL]:
        return contextlib.nullcontext(library)

    for module in (realtts_espeak.fitting, realtts_espeak.synthesis):
        setattr(module, "fresh_library", loaded)  # noqa: B010 - a name that it does not export
