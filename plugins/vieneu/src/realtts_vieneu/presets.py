"""The names of a checkpoint's voices, from its ``voices.json`` alone: without weights, torch or the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.contract.types import VoiceInfo
from realtts.kit.reading import read_json
from realtts_vieneu.files import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.contract.spec import Checkpoint

__all__ = ["infos", "voices_of"]


def voices_of(checkpoint: Checkpoint | None) -> list[VoiceInfo] | None:
    """List the voices of a folder.

    Returns:
        None: It is a repository, or v3 Turbo, whose package brings voices of its own.
    """
    if checkpoint is None or checkpoint.path is None:
        return None
    folder = checkpoint.path.parent if checkpoint.path.is_file() else checkpoint.path
    if (folder / MARK).is_file():
        return None
    if not (folder / "voices.json").is_file():
        return []
    content = read_json(folder / "voices.json")
    presets = {str(name): str(about.get("description") or "") for name, about in content["presets"].items()}
    default = content.get("default_voice") or next(iter(presets), None)
    return infos(presets, default if default in presets else next(iter(presets), None))


def infos(descriptions: Mapping[str, str], default: str | None) -> list[VoiceInfo]:
    """Describe voices, the default one first.

    Args:
        descriptions: By name, in the file's order.
        default: Name of the voice that speaks where a request names none.
    """
    names = sorted(descriptions, key=lambda name: name != default)
    return [VoiceInfo(name, name=name, language="vi", description=descriptions[name]) for name in names]
