"""Saved voices: reference recordings kept under a name.

Each voice is a folder with ``voice.wav`` (32-bit floating point: the samples come back exactly, so that
caches keyed by their digest stay valid) and ``voice.json``. A folder appears and disappears by renaming,
never half.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from realtts.errors import OutputError, VoiceError, VoiceNotFound, VoiceUnreadable, closest
from realtts.voices.naming import check_name, folder_name

if TYPE_CHECKING:
    from realtts.speech import Voice
    from realtts.voices.reference import Source

__all__ = ["SavedVoice", "VoiceStore", "default_folder"]

_AUDIO = "voice.wav"
_FACTS = "voice.json"
_WHO = "saved voices"
_SECONDS = (0.5, 120.0)
_TEMPORARY = (".new-", ".old-")
_STALE_S = 24 * 3600
# How often a step is tried again that another process may have interfered with.
_TRIES = 10


@dataclass(frozen=True)
class SavedVoice:
    """A voice in the store, without its samples.

    Attributes:
        name: What users pass as ``voice=``.
        folder: Where it is kept.
        sample_rate: Hz; 0 when damaged.
        duration: Seconds; 0.0 when damaged.
        text: The words spoken in the recording, or None.
        digest: `Voice.digest`; empty when damaged.
        created: Date and time in UTC, ISO 8601; empty when damaged.
        fault: What is wrong with a damaged entry, else None.
    """

    name: str
    folder: Path
    sample_rate: int = 0
    duration: float = 0.0
    text: str | None = None
    digest: str = ""
    created: str = ""
    fault: str | None = None


def default_folder() -> Path:
    """``voices`` in ``REALTTS_DATA_DIR``, or in the user's data folder."""
    data = os.environ.get("REALTTS_DATA_DIR") or platformdirs.user_data_dir("realtts", appauthor=False)
    return Path(data) / "voices"


class VoiceStore:
    """Voices saved in a folder. Names are told apart without regard to case.

    Args:
        folder: Where they are; default `default_folder`. It is created by the first `add`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else default_folder()

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
        voice = load(source, text=text, seconds=_SECONDS, who=f"voice {name!r}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            working = self.folder / f".new-{secrets.token_hex(6)}"
            try:
                _fill(working, name, voice)
                self._put(working, final, name, overwrite=overwrite)
            finally:
                shutil.rmtree(working, ignore_errors=True)
        except OSError as error:
            raise OutputError(
                f"the voice cannot be saved: {error.strerror or error}",
                who=str(self.folder),
                fix="check the folder and the disk, or set REALTTS_DATA_DIR to another place",
            ) from error
        return _describe(final)

    def list(self) -> list[SavedVoice]:
        """All voices by name; damaged ones have a ``fault``."""
        try:
            folders = [item for item in self.folder.iterdir() if item.is_dir() and not item.name.startswith(".")]
        except OSError:
            return []
        return sorted(map(_describe, folders), key=lambda saved: folder_name(saved.name))

    def names(self) -> tuple[str, ...]:
        """Names of all voices that can be used."""
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
                return _read(folder)
            except VoiceUnreadable:
                if folder.exists():
                    raise
            # It is being replaced right now.
            time.sleep(0.01)
        return _read(self._find(name))

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
        for _ in range(3):
            if folder.is_dir():
                return folder
            # Replacing takes two renames, and this may be between them.
            time.sleep(0.005)
        raise self._not_found(name)

    def _not_found(self, name: str) -> VoiceNotFound:
        known = self.names()
        return VoiceNotFound(
            f"no voice of the name {str(name)[:80]!r}{closest(str(name)[:80], known)}",
            who=_WHO,
            fix=f"choose one of {', '.join(known)}" if known else "add one first",
        )

    def _check_free(self, name: str, final: Path, *, overwrite: bool) -> None:
        if not final.is_dir():
            return
        there = _describe(final)
        if overwrite and (there.name == name or there.fault is not None):
            return
        fix = "choose another name" if overwrite else "choose another name, or overwrite it"
        raise VoiceError(f"there is a voice {there.name!r} already", who=_WHO, fix=fix)

    def _put(self, working: Path, final: Path, name: str, *, overwrite: bool) -> None:
        """Rename the new folder into place; of several the first wins, or the last where all overwrite."""
        for _ in range(_TRIES):
            try:
                working.rename(final)
                return
            except OSError:
                if not final.exists():
                    raise
            self._check_free(name, final, overwrite=overwrite)
            with contextlib.suppress(FileNotFoundError):
                _delete(final)
        raise OSError(None, "other processes are changing the voice all the time")

    def _sweep(self) -> None:
        """Remove what processes left behind that were killed."""
        for item in self.folder.iterdir():
            if item.name.startswith(_TEMPORARY):
                with contextlib.suppress(OSError):
                    if time.time() - item.stat().st_mtime > _STALE_S:
                        shutil.rmtree(item)


@dataclass(frozen=True)
class _Facts:
    """What ``voice.json`` holds."""

    name: str
    sample_rate: int
    samples: int
    digest: str
    created: str
    text: str | None = None


def _fill(folder: Path, name: str, voice: Voice) -> None:
    from realtts import audio

    folder.mkdir()
    audio.write(folder / _AUDIO, voice.samples, voice.sample_rate, subtype="FLOAT")
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    facts = _Facts(name, voice.sample_rate, len(voice.samples), voice.digest, created, voice.text)
    (folder / _FACTS).write_text(json.dumps(asdict(facts), ensure_ascii=False, indent=2), encoding="utf-8")


def _delete(folder: Path) -> None:
    """Out of sight first, in one step."""
    away = folder.with_name(f".old-{secrets.token_hex(6)}")
    folder.rename(away)
    shutil.rmtree(away, ignore_errors=True)


def _describe(folder: Path) -> SavedVoice:
    try:
        facts = _facts(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        return SavedVoice(folder.name, folder, fault=f"{_FACTS} is missing or damaged ({error})")
    return SavedVoice(
        name=facts.name,
        folder=folder,
        sample_rate=facts.sample_rate,
        duration=facts.samples / facts.sample_rate,
        text=facts.text,
        digest=facts.digest,
        created=facts.created,
        fault=_audio_fault(folder / _AUDIO, facts.samples),
    )


def _facts(folder: Path) -> _Facts:
    content: dict[str, Any] = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    facts = _Facts(**content)
    if folder_name(check_name(facts.name)) != folder.name or facts.sample_rate < 1:
        raise ValueError("the entries do not fit the folder")
    return facts


def _audio_fault(path: Path, samples: int) -> str | None:
    """What can be seen without reading the audio."""
    try:
        size = path.stat().st_size
    except OSError:
        return f"{path.name} is missing"
    return f"{path.name} is cut short" if size < 4 * samples else None


def _read(folder: Path) -> Voice:
    from realtts import audio
    from realtts.speech import Voice

    saved = _describe(folder)
    fix = "remove the voice and add it again"
    if saved.fault:
        raise VoiceUnreadable(saved.fault, who=f"voice {saved.name!r}", fix=fix)
    samples, sample_rate = audio.read(folder / _AUDIO, max_seconds=2 * _SECONDS[1])
    voice = Voice(samples, sample_rate, saved.text, saved.name)
    if voice.digest != saved.digest:
        raise VoiceUnreadable("the recording was changed", who=f"voice {saved.name!r}", fix=fix)
    return voice
