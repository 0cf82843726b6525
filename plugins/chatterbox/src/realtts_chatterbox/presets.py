"""The voice that comes with a checkpoint; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.contract.types import VoiceInfo
from realtts.kit.reading import configuration_of
from realtts_chatterbox.configurations import CONFIGURATIONS
from realtts_chatterbox.files import BUILTIN

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint

__all__ = ["DEFAULT", "voices_of"]

DEFAULT = VoiceInfo("default", name="Default", description="The voice that comes with the checkpoint")


def voices_of(checkpoint: Checkpoint | None) -> list[VoiceInfo] | None:
    """List the voice of a published model, or of a folder that has its file.

    Returns:
        None: It is somebody else's repository, whose files must tell.
    """
    if checkpoint is not None and checkpoint.path is not None:
        folder = checkpoint.path.parent if checkpoint.path.is_file() else checkpoint.path
        return [DEFAULT] if (folder / BUILTIN).is_file() else []
    return None if configuration_of(checkpoint, CONFIGURATIONS) is None else [DEFAULT]
