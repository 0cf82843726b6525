"""What is known of a voice before it is loaded: its language, its speakers, and what of a text it cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts_piper.files import files_at_hand

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint
    from realtts.contract.types import Unread, VoiceInfo

__all__ = ["languages_of", "unread_in", "voices_of"]


def languages_of(checkpoint: Checkpoint) -> tuple[str, ...] | None:
    """Name the one language of a voice in a folder.

    Raises:
        CheckpointError: It cannot be read.
    """
    from realtts_piper.voice import UNTOLD, read_voice

    files = files_at_hand(checkpoint)
    tags = (UNTOLD,) if files is None else read_voice(files).tags
    return None if tags == (UNTOLD,) else tags


def voices_of(checkpoint: Checkpoint | None) -> list[VoiceInfo] | None:
    """List the speakers of a voice whose files are at hand.

    Raises:
        CheckpointError: They cannot be read.
    """
    from realtts_piper.voice import read_voice

    files = files_at_hand(checkpoint)
    return None if files is None else read_voice(files).infos(files.name, files.licence())


def unread_in(checkpoint: Checkpoint | None, text: str, language: str | None) -> tuple[Unread, ...] | None:  # noqa: ARG001
    """Return what of a text is not said as it stands, by a voice whose files are at hand.

    Raises:
        UnspeakableText: Nothing of it can be said.
        CheckpointError: The files cannot be read.
    """
    from realtts_piper.phrases import Phrases
    from realtts_piper.voice import read_voice

    files = files_at_hand(checkpoint)
    return None if files is None else Phrases(read_voice(files)).unread(text)
