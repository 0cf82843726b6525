"""Where a recognizer is found: among installed ones of third parties, else a Whisper model by its name."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

from realtts.errors import BrokenProvider
from realtts.exception_text import describe_error
from realtts.listening.libraries import check_library
from realtts.listening.models import recognizer_folder
from realtts.listening.whisper import WhisperRecognizer
from realtts.registry.entry_points import entry_points

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.listening.heard import Recognizer

__all__ = ["GROUP", "find_recognizer"]

GROUP = "realtts.recognizers"
"""Entry points of recognizers of third parties: name = path of a function without arguments that makes one."""


@functools.lru_cache(maxsize=4)
def find_recognizer(name: str | None = None, threads: int | None = None) -> Recognizer:
    """Return a loaded recognizer; the same arguments give the same one.

    Args:
        name: A local folder, a hub id ``owner/name[@revision]``, the name of a package that carries a recognizer, or
            one of the entry-point group ``realtts.recognizers``. None: an installed package that is known to carry
            one; nothing is downloaded then.
        threads: Compute threads; None: as the library has it.

    Raises:
        MissingExtra: faster-whisper is not installed.
        CheckpointError: There is no such recognizer, or its files are not whole.
        BrokenProvider: The recognizer of a third party cannot be made.
    """
    point = next((point for point in entry_points(GROUP) if point.name == name), None)
    if point is not None:
        try:
            return cast("Callable[[], Recognizer]", point.load())()
        except Exception as error:
            raise BrokenProvider(
                f"it cannot be made: {describe_error(error)}", who=f"recognizer {name!r}",
                fix="ask its authors, or name another recognizer",
            ) from error  # fmt: skip
    check_library("faster-whisper", "faster_whisper")
    folder, label = recognizer_folder(name)
    return WhisperRecognizer(folder, label, threads)
