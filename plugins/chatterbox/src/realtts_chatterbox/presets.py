"""The voice that comes with a checkpoint; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.checkpoints import folder_of
from realtts.contract.types import VoiceInfo
from realtts.kit.reading import configuration_of
from realtts_chatterbox.configurations import CONFIGURATIONS
from realtts_chatterbox.files import BUILTIN

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint

__all__ = ["DEFAULT", "voices_of"]

DEFAULT = VoiceInfo("default", name="Default", description="The voice that comes with the checkpoint")


def voices_of(checkpoint: Checkpoint | None) -> list[VoiceInfo] | None:
    """List the voice of a published model, or of a folder or downloaded repository that has its file.

    Returns:
        None: It is somebody else's repository, and the file is not here: only the hub can tell.
    """
    if checkpoint is None or configuration_of(checkpoint, CONFIGURATIONS) is not None:
        return None if checkpoint is None else [DEFAULT]
    folder = folder_of(checkpoint)
    if folder is not None and (folder / BUILTIN).is_file():
        return [DEFAULT]
    return None if checkpoint.path is None else []
