"""The names of a checkpoint's voices, from its file of voices alone: without weights, torch or the network."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.checkpoints import folder_of
from realtts.contract.types import VoiceInfo
from realtts.kit.reading import read_json
from realtts_vieneu.files import MARK, TURBO_FILES, TURBO_VOICES, VOICES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.contract.spec import Checkpoint

__all__ = ["infos", "voices_of"]

UPSTREAM = "vieneu"
"""Upstream's package, which brings voices of v3 Turbo."""


def voices_of(checkpoint: Checkpoint | None) -> list[VoiceInfo] | None:
    """List the voices of a folder, or of a repository as it was downloaded last.

    Returns:
        None: It is a repository whose files are not here: only the hub can tell; or v3 Turbo without its package.
    """
    folder = folder_of(checkpoint) if checkpoint is not None else None
    if checkpoint is None or folder is None:
        return None
    if (folder / MARK).is_file():
        return _of_turbo(folder)
    if not (folder / VOICES).is_file():
        return None if checkpoint.path is None else []
    presets, default = _read(folder / VOICES)
    return infos(presets, default or next(iter(presets), None))


def _of_turbo(folder: Path) -> list[VoiceInfo] | None:
    """List the voices of v3 Turbo: those of upstream's package, and of the checkpoint where it has any."""
    package = importlib.util.find_spec(UPSTREAM)
    if package is None or not package.submodule_search_locations:
        return None
    if not all((folder / name).is_file() for name in TURBO_FILES if isinstance(name, str)):
        return None  # a part of a repository: its file of voices may be among what is missing
    presets, _ = _read(Path(package.submodule_search_locations[0]) / "assets" / TURBO_VOICES)
    if (folder / TURBO_VOICES).is_file():
        presets |= _read(folder / TURBO_VOICES)[0]
    return infos(presets, None)


def _read(path: Path) -> tuple[dict[str, str], str | None]:
    """Read the descriptions of a file's voices by name, and the name of the default one."""
    content = read_json(path)
    presets = {str(name): str(about.get("description") or "") for name, about in content["presets"].items()}
    default = content.get("default_voice")
    return presets, default if default in presets else None


def infos(descriptions: Mapping[str, str], default: str | None) -> list[VoiceInfo]:
    """Describe voices, the default one first.

    Args:
        descriptions: By name, in the file's order.
        default: Name of the voice that speaks where a request names none; None: the first one, or no matter which.
    """
    names = sorted(descriptions, key=lambda name: name != default)
    return [VoiceInfo(name, name=name, language="vi", description=descriptions[name]) for name in names]
