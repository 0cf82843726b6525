"""The speakers of a checkpoint, from its configuration alone: without weights, torch or the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.checkpoints import folder_of
from realtts.contract.types import VoiceInfo
from realtts.kit.reading import configuration_of, read_json
from realtts_qwen3.configurations import CONFIGURATIONS, DIALECTS, SPEAKERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from realtts.contract.spec import Checkpoint

__all__ = ["infos", "voices_of"]


def voices_of(checkpoint: Checkpoint | None) -> list[VoiceInfo] | None:
    """List the speakers of a published model, or of a folder or downloaded repository by its ``config.json``.

    Returns:
        None: It is somebody else's repository, and the file is not here: only the hub can tell.
    """
    configuration = configuration_of(checkpoint, CONFIGURATIONS)
    if configuration is not None:
        return infos(SPEAKERS, DIALECTS) if configuration.kind == "custom_voice" else []
    folder = folder_of(checkpoint) if checkpoint is not None else None
    if folder is None or not (folder / "config.json").is_file():
        return None
    talker: Mapping[str, Any] = read_json(folder / "config.json").get("talker_config") or {}
    dialects = talker.get("spk_is_dialect") or {}
    names = [str(name).lower() for name in talker.get("spk_id") or {}]
    return infos(names, {str(name).lower(): str(dialect) for name, dialect in dialects.items() if dialect})


def infos(speakers: Iterable[str], dialects: Mapping[str, str]) -> list[VoiceInfo]:
    """Describe speakers.

    Args:
        speakers: Their names in lower case, the default one first.
        dialects: Speaker -> the dialect that is spoken where the language is Chinese.
    """
    return [
        VoiceInfo(
            name,
            name=name.replace("_", " ").title(),
            description=f"speaks {dialects[name].replace('_', ' ')} in Chinese" if name in dialects else "",
        )
        for name in speakers
    ]
