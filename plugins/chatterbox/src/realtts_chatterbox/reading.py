"""What of a text Chatterbox cannot say, told before the model is loaded: without weights, torch or the network."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from realtts_chatterbox.files import T3_FILES
from realtts_chatterbox.text import TextReader

if TYPE_CHECKING:
    from pathlib import Path

    from realtts.contract.spec import Checkpoint
    from realtts.contract.types import Unread

__all__ = ["unread_in"]


def unread_in(checkpoint: Checkpoint | None, text: str, language: str | None) -> tuple[Unread, ...] | None:
    """Return what the vocabulary of a folder lacks.

    Returns:
        None: There is no folder yet, or it holds no model.

    Raises:
        UnspeakableText: It has nothing of the text.
        UnknownLanguage: What prepares the language is not installed.
    """
    if checkpoint is None or checkpoint.path is None:
        return None
    folder = checkpoint.path.parent if checkpoint.path.is_file() else checkpoint.path
    kind = next((kind for kind, name in T3_FILES.items() if (folder / name).is_file()), None)
    return None if kind is None else _reader(folder, kind).readable(text, language).unread


@functools.lru_cache(4)
def _reader(folder: Path, kind: str) -> TextReader:
    return TextReader({path.name: path for path in folder.iterdir()}, kind)
