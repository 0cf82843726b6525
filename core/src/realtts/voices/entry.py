"""A saved voice: its folder with ``voice.wav`` and ``voice.json``.

The audio is 32-bit floating point, so that the samples come back exactly and caches keyed by their digest stay valid.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from realtts.documents import MALFORMED, read_json_table, reason_of
from realtts.errors import VoiceUnreadable
from realtts.voices.naming import check_name, folder_name

if TYPE_CHECKING:
    from pathlib import Path

    from realtts.contract.types import Voice

__all__ = ["SECONDS", "SavedVoice", "describe", "fill", "read"]

SECONDS = (0.5, 120.0)
"""Shortest and longest recording that is kept."""

_AUDIO = "voice.wav"
_FACTS = "voice.json"


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


@dataclass(frozen=True)
class _Facts:
    """What ``voice.json`` holds."""

    name: str
    sample_rate: int
    samples: int
    digest: str
    created: str
    text: str | None = None


def fill(folder: Path, name: str, voice: Voice) -> None:
    """Make the folder of a voice."""
    from realtts import audio

    folder.mkdir(mode=0o700)
    folder.chmod(0o700)
    audio.write(folder / _AUDIO, voice.samples, voice.sample_rate, subtype="FLOAT")
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    facts = _Facts(name, voice.sample_rate, len(voice.samples), voice.digest, created, voice.text)
    (folder / _FACTS).write_text(json.dumps(asdict(facts), ensure_ascii=False, indent=2), encoding="utf-8")
    for file in (_AUDIO, _FACTS):
        (folder / file).chmod(0o600)


def describe(folder: Path) -> SavedVoice:
    """Describe the voice in a folder without reading the audio."""
    try:
        facts = _facts(folder)
    except MALFORMED as error:
        return SavedVoice(folder.name, folder, fault=f"{_FACTS} is missing or damaged: {reason_of(error)}")
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
    path = folder / _FACTS
    if not path.is_file():  # a pipe would be waited for
        raise FileNotFoundError(f"there is no file {_FACTS}")
    facts = _Facts(**read_json_table(path))
    texts = [facts.name, facts.digest, facts.created, *([] if facts.text is None else [facts.text])]
    numbers = (facts.sample_rate, facts.samples)
    if not all(isinstance(text, str) for text in texts) or not all(type(n) is int and 0 < n < 2**31 for n in numbers):
        raise ValueError("an entry is of a wrong type or size")
    if folder_name(check_name(facts.name)) != folder.name:
        raise ValueError("the entries do not fit the folder")
    return facts


def _audio_fault(path: Path, samples: int) -> str | None:
    """Return the fault that can be seen without reading the audio."""
    try:
        size = path.stat().st_size
    except OSError:
        return f"{path.name} is missing"
    return f"{path.name} is cut short" if size < 4 * samples else None


def read(folder: Path) -> Voice:
    """Read the voice in a folder.

    Raises:
        VoiceUnreadable: It is damaged.
        VoiceNotFound: It has vanished.
    """
    from realtts import audio
    from realtts.contract.types import Voice

    saved = describe(folder)
    fix = "remove the voice and add it again"
    if saved.fault:
        raise VoiceUnreadable(saved.fault, who=f"voice {saved.name!r}", fix=fix)
    samples, sample_rate = audio.read(folder / _AUDIO, max_seconds=2 * SECONDS[1])
    voice = Voice(samples, sample_rate, saved.text, saved.name)
    if voice.digest != saved.digest:
        raise VoiceUnreadable("the recording was changed", who=f"voice {saved.name!r}", fix=fix)
    return voice
