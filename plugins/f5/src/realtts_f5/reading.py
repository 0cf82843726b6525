"""What of a text F5 cannot say, told before the model is loaded: without weights, torch or the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.kit.reading import configuration_of
from realtts.text import readable_text
from realtts_f5.configurations import CONFIGURATIONS
from realtts_f5.files import VOCABULARY
from realtts_f5.text import Vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from realtts.contract.spec import Checkpoint
    from realtts.contract.types import Unread

__all__ = ["unread_in"]


def unread_in(checkpoint: Checkpoint | None, text: str, language: str | None) -> tuple[Unread, ...] | None:  # noqa: ARG001
    """Return what the vocabulary lacks: that of the folder, else the one that f5-tts brings, if that is the model's.

    Returns:
        None: The vocabulary has not been fetched.

    Raises:
        UnspeakableText: It has nothing of the text.
    """
    path: Path | None = None
    if checkpoint is not None and checkpoint.path is not None:
        folder = checkpoint.path.parent if checkpoint.path.is_file() else checkpoint.path
        path = next(iter(sorted(folder.rglob(VOCABULARY))), None)
    elif (known := configuration_of(checkpoint, CONFIGURATIONS)) is None or not known.upstreams_vocabulary:
        return None
    return readable_text(text, Vocabulary(path).reads, who="f5").unread
