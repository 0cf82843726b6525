"""Voices: tables of styles, one style per length of a phrase, and blends of them."""

from __future__ import annotations

import functools
import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from realtts.errors import CheckpointCorrupt, VoiceNotFound, enumeration
from realtts.kit.reading import reason_of
from realtts.kit.voices import blend_parts, no_voice
from realtts_kokoro.catalogue import VOICES, language_of, voice_info
from realtts_kokoro.files import files_at_hand

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from realtts.contract.spec import Checkpoint
    from realtts.contract.types import VoiceInfo

__all__ = ["STYLE", "Voices", "voices_of"]

STYLE = 256
"""Numbers in a style."""

_WHO = "provider 'kokoro'"
_MOST_REMEMBERED = 64
_ARCHIVE = b"PK\x03\x04"
_ARRAY = b"\x93NUMPY"
_MOST_BYTES = 64 << 20
"""Largest table that is unpacked; those that are published have half a MiB."""


class Voices:
    """The voices of a model, each read when it is first wanted.

    Args:
        files: File by name of voice.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        order = {name: number for number, name in enumerate(VOICES)}
        self.names = tuple(sorted(files, key=lambda name: (order.get(name, len(order)), name)))
        self.styles = functools.lru_cache(_MOST_REMEMBERED)(self._styles)

    def infos(self) -> list[VoiceInfo]:
        """Return them as users see them."""
        return [voice_info(name) for name in self.names]

    def default(self, language: str | None) -> str:
        """Return the voice that speaks where none is named.

        Args:
            language: A tag; None: the first voice that there is.

        Raises:
            VoiceNotFound: None speaks that language.
        """
        if language is None:
            return self.names[0]
        letter = language_of(language).letter
        for name in self.names:
            if voice_info(name).language and name[0] == letter:
                return name
        raise VoiceNotFound(
            f"none of the voices here speaks {language!r} by itself", who=_WHO,
            fix=f"name one of {enumeration(self.names, 12)}, or get the voices of that language",
        )  # fmt: skip

    def _styles(self, name: str) -> NDArray[np.float32]:
        """Return the styles of a voice or a blend, float32 of shape (n, 256): the one of k phonemes at k - 1.

        Args:
            name: ``"af_heart"``, or ``"af_heart:0.6,af_sky:0.4"``.

        Raises:
            VoiceNotFound: There is no such voice.
            CheckpointCorrupt: Its file is damaged.
        """
        parts = blend_parts(name, _WHO)
        tables = [self._table(part) for part, _ in parts]
        if len(parts) == 1:
            return tables[0]
        length = min(map(len, tables))
        mixed = sum(table[:length] * np.float32(share) for table, (_, share) in zip(tables, parts, strict=True))
        return np.asarray(mixed, np.float32)

    def _table(self, name: str) -> NDArray[np.float32]:
        if name not in self._files:
            raise no_voice(name, self.names, _WHO, instead="give none for the default one")
        path = self._files[name]
        try:
            table = _read(path.read_bytes(), name)
        except Exception as error:  # of an archive, its compression, or the array in it: each has its own
            raise _faulty(path, name, reason_of(error)) from error
        if table.size == 0 or table.size % STYLE or not np.isfinite(table).all():
            raise _faulty(path, name, f"it is no table of styles of {STYLE} numbers")
        return np.ascontiguousarray(table.reshape(-1, STYLE), np.float32)


def _read(content: bytes, name: str) -> NDArray[np.float32]:
    if content.startswith(_ARCHIVE):
        content = _unpacked(content, f"{name}.npy")
    if content.startswith(_ARRAY):
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False), np.float32)
    return np.frombuffer(content, "<f4")


def _unpacked(archive: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened, opened.open(name) as file:
        content = file.read(_MOST_BYTES + 1)  # what the archive says of the size may be a lie
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has over {_MOST_BYTES >> 20} MiB")
    return content


def _faulty(path: Path, name: str, what: str) -> CheckpointCorrupt:
    return CheckpointCorrupt(f"the voice {name!r} in {path} is damaged: {what}", who=_WHO, fix="get the file anew")


def voices_of(checkpoint: Checkpoint | None) -> list[VoiceInfo] | None:
    """List the voices of a checkpoint: of its files, or those that the hub has.

    Raises:
        CheckpointError: Its files cannot be read.
    """
    files = files_at_hand(checkpoint)
    if files is not None:
        return Voices(files.voices).infos()
    published = checkpoint is None or any(str(each).startswith("voices/") for each in checkpoint.files)
    return [voice_info(name) for name in VOICES] if published else None
