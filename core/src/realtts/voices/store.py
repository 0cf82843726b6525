"""Saved voices: reference recordings kept under a name.

Each is a folder (see `realtts.voices.entry`) that appears and disappears by renaming, never half.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.errors import OutputError, VoiceError, VoiceNotFound, VoiceUnreadable, closest, enumeration
from realtts.settings_sources import data_dir
from realtts.voices.entry import SECONDS, SavedVoice, describe, fill, read
from realtts.voices.naming import check_name, folder_name

if TYPE_CHECKING:
    from realtts.contract.types import Voice
    from realtts.voices.reference import Source

__all__ = ["SavedVoice", "VoiceStore", "default_folder"]

_WHO = "saved voices"
_TEMPORARY = (".new-", ".old-")
_STALE_S = 24 * 3600
# How often a step is tried again that another process may have interfered with.
_TRIES = 10
_PAUSE_S = 0.005


def default_folder() -> Path:
    """Return ``voices`` in the setting ``data_dir``, or in the user's data folder."""
    return data_dir() / "voices"


class VoiceStore:
    """Voices saved in a folder. Names are told apart without regard to case.

    Args:
        folder: Where they are; default `default_folder`. It is created by the first `add`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()

    def add(self, name: str, source: Source, *, text: str | None = None, overwrite: bool = False) -> SavedVoice:
        """Save a voice.

        Args:
            name: Letters, digits, ``-``, ``_`` and ``.``; at most 64.
            source: Path of an audio file, tuple of samples and sample rate, or `Voice`; 0.5 to 120 s.
            text: The words spoken in it.
            overwrite: Replace a voice of that name.

        Raises:
            VoiceError: The name is not usable or taken; or one of its subclasses: the recording is not
                usable.
            OutputError: The folder cannot be written.
        """
        from realtts.voices.reference import load

        name = check_name(name)
        final = self.folder / folder_name(name)
        self._check_free(name, final, overwrite=overwrite)
        voice = load(source, text=text, seconds=SECONDS, who=f"voice {name!r}")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)  # a recording is a person's voice: nobody else's business, whatever the umask is
            self._sweep()
            working = self.folder / f".new-{secrets.token_hex(6)}"
            try:
                fill(working, name, voice)
                self._put(working, final, name, overwrite=overwrite)
            finally:
                shutil.rmtree(working, ignore_errors=True)
        except OSError as error:
            raise OutputError(
                f"the voice cannot be saved: {error.strerror or error}",
                who=str(self.folder),
                fix="check the folder and the disk, or set REALTTS_DATA_DIR to another place",
            ) from error
        return describe(final)

    def list(self) -> list[SavedVoice]:
        """Return all voices by name; damaged ones have a ``fault``."""
        try:
            folders = [item for item in self.folder.iterdir() if item.is_dir() and not item.name.startswith(".")]
        except OSError:
            return []
        return sorted(map(describe, folders), key=lambda saved: folder_name(saved.name))

    def names(self) -> tuple[str, ...]:
        """Return the names of all voices that can be used."""
        return tuple(saved.name for saved in self.list() if saved.fault is None)

    def get(self, name: str) -> Voice:
        """Read a saved voice.

        Raises:
            VoiceNotFound: There is none of that name.
            VoiceUnreadable: It is damaged.
        """
        for _ in range(_TRIES):
            folder = self._find(name)
            try:
                return read(folder)
            except (VoiceUnreadable, VoiceNotFound):
                if not self._is_changing():
                    break
            time.sleep(_PAUSE_S)
        return read(self._find(name))

    def remove(self, name: str) -> None:
        """Delete a saved voice, damaged or not.

        Raises:
            VoiceNotFound: There is none of that name.
            OutputError: It cannot be deleted.
        """
        folder = self._find(name)
        try:
            _delete(folder)
        except FileNotFoundError:
            raise self._not_found(name) from None
        except OSError as error:
            raise OutputError(
                f"cannot be deleted: {error.strerror or error}",
                who=str(folder),
                fix="check who owns the folder",
            ) from error

    def _find(self, name: str) -> Path:
        try:
            folder = self.folder / folder_name(check_name(name))
        except VoiceError:
            raise self._not_found(name) from None
        for _ in range(_TRIES):
            if folder.is_dir():
                return folder
            if not self._is_changing():
                break
            time.sleep(_PAUSE_S)
        if folder.is_dir():
            return folder
        raise self._not_found(name)

    def _is_changing(self) -> bool:
        """Tell whether a voice is being replaced: that takes two renames, and between them it is not there."""
        try:
            return any(item.name.startswith(_TEMPORARY) for item in self.folder.iterdir())
        except OSError:
            return False

    def _not_found(self, name: str) -> VoiceNotFound:
        names = self.names()
        return VoiceNotFound(
            f"no voice of the name {str(name)[:80]!r}{closest(str(name)[:80], names)}",
            who=_WHO,
            fix=f"choose one of {enumeration(names)}" if names else "add one first",
        )

    def _check_free(self, name: str, final: Path, *, overwrite: bool) -> None:
        if not final.is_dir():
            return
        there = describe(final)
        if overwrite and (there.name == name or there.fault is not None):
            return
        fix = "choose another name" if overwrite else "choose another name, or pass overwrite=True (--overwrite)"
        raise VoiceError(f"there is a voice {there.name!r} already", who=_WHO, fix=fix)

    def _put(self, working: Path, final: Path, name: str, *, overwrite: bool) -> None:
        """Rename the new folder into place; of several the first wins, or the last where all overwrite."""
        for _ in range(_TRIES):
            try:
                working.rename(final)
                return
            except OSError as error:
                failure = error
            self._check_free(name, final, overwrite=overwrite)
            with contextlib.suppress(FileNotFoundError):
                _delete(final)
        raise failure

    def _sweep(self) -> None:
        """Remove what processes left behind that were killed."""
        for item in self.folder.iterdir():
            if item.name.startswith(_TEMPORARY):
                with contextlib.suppress(OSError):
                    if time.time() - item.stat().st_mtime > _STALE_S:
                        shutil.rmtree(item)


def _delete(folder: Path) -> None:
    """Delete a folder: rename it first, so that it is gone in one step."""
    away = folder.with_name(f".old-{secrets.token_hex(6)}")
    folder.rename(away)
    shutil.rmtree(away, ignore_errors=True)
