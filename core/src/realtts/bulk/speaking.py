"""Speaking one row of a job on a provider."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.errors import RealTTSError
from realtts.kit.seeds import derive_seed
from realtts.kit.voices import matching_name
from realtts.settings_sources import data_dir
from realtts.voices.store import VoiceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.bulk.rows import SpeechRow
    from realtts.provider.facade import RealProvider
    from realtts.synthesis.speech import Speech

__all__ = ["Defaults", "fingerprint", "row_seed", "saved_digests", "speak_row", "speaker_of"]


_UNHEARD = frozenset({
    "provider", "threads", "strict", "isolation", "worker_deadline_s", "worker_silence_s", "worker_memory_mb",
    "queue_size", "max_batch", "queue_timeout_s", "request_timeout_s", "stream_buffer", "stream_lookahead",
    "stream_stall_s", "idle_unload_s", "max_text_chars", "voice_cache_mb", "voice_cache_disk_mb",
    "weight_cache_disk_mb", "voice_urls", "data_dir", "buffer_pool",
})  # fmt: skip
"""Settings that change nothing of what is spoken."""


@dataclass(frozen=True)
class Defaults:
    """What holds for rows that do not say otherwise.

    Attributes:
        voice: Built-in voice, saved voice or audio file.
        reference_text: Words of the audio file.
        language: BCP 47 tag or name.
        speed: Speaking rate.
        normalize: ``"auto"`` or ``"off"``.
        check_words: Speak a row again when its words are not all there.
        timestamps: ``"align"``: find the times of words by listening; None: those of the provider.
        options: The provider's own.
        folder: Where audio files of rows lie, beside the working folder.
    """

    voice: str | None = None
    reference_text: str | None = None
    language: str | None = None
    speed: float = 1.0
    normalize: str | None = None
    check_words: bool = False
    timestamps: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = None


def row_seed(row: SpeechRow, seed: int) -> int:
    """Return the seed that a row is spoken with: its own, or one derived from the job's seed and the row's id."""
    return derive_seed(seed, "row", row.id) if row.seed is None else row.seed


def speak_row(tts: RealProvider, row: SpeechRow, defaults: Defaults, seed: int) -> Speech:
    """Speak a row.

    Args:
        tts: Who speaks.
        row: The text, and what differs from the defaults.
        defaults: What holds otherwise.
        seed: The job's.

    Raises:
        RealTTSError: As `RealProvider.generate`.
    """
    arguments = _arguments(row, defaults)
    return tts.generate(row.text, seed=row_seed(row, seed), priority="bulk", **arguments)


def fingerprint(
    row: SpeechRow,
    defaults: Defaults,
    seed: int,
    speaker: str,
    saved: Callable[[str], str | None] = lambda _: None,
) -> str:
    """Return what tells whether a row was spoken like this before: 16 hexadecimal digits.

    What a recording holds counts, not where it lies: the same job from another folder is the same.

    Args:
        row: The row.
        defaults: The job's.
        seed: The job's.
        speaker: Provider, model and format.
        saved: Returns the digest of a saved voice; None: there is none of that name.
    """
    arguments = _arguments(row, defaults)
    voice = arguments["voice"]
    if voice:
        arguments["voice"] = _file_digest(voice) or saved(voice) or f"name {voice}"
    what = [speaker, row.text, row_seed(row, seed), arguments]
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=repr).encode()).hexdigest()[:16]


def speaker_of(tts: RealProvider, format: str, captions: str | None) -> str:  # noqa: A002 - as the job has it
    """Return what `fingerprint` has to know of who speaks: the settings that can be heard, wherever they were given."""
    settings = tts.settings.model_dump(mode="json", exclude=set(_UNHEARD))
    return json.dumps([tts.spec.name, settings, format, captions], sort_keys=True, default=repr)


def saved_digests(tts: RealProvider) -> Callable[[str], str | None]:
    """Return a function that gives the digest of a saved voice, read once; None for a name that is no saved voice.

    Args:
        tts: Who speaks. One that cannot clone uses no saved voices.
    """
    store = VoiceStore(data_dir(tts.settings) / "voices")

    @lru_cache(maxsize=4096)
    def digest(name: str) -> str | None:
        if "clone" not in tts.spec.capabilities:
            return None
        try:
            saved = matching_name(name, store.names())
            return None if saved is None else store.get(saved).digest
        except (RealTTSError, OSError):  # what is wrong with it, the row will say
            return None

    return digest


def _arguments(row: SpeechRow, defaults: Defaults) -> dict[str, Any]:
    """Return the arguments of `RealProvider.generate` beside text and seed."""
    own = row.voice is not None
    voice = row.voice if own else defaults.voice
    return {
        "voice": _resolved(voice, defaults.folder if own else None),
        "reference_text": row.reference_text or (None if own else defaults.reference_text),
        "language": row.language or defaults.language,
        "speed": defaults.speed if row.speed is None else row.speed,
        "normalize": row.normalize or defaults.normalize,
        **_listening(row, defaults),
        **defaults.options,
        **row.options,
    }


def _listening(row: SpeechRow, defaults: Defaults) -> dict[str, Any]:
    """Return what is asked of the words; nothing where nothing is, so that it changes no fingerprint."""
    check_words = defaults.check_words if row.check_words is None else row.check_words
    timestamps = row.timestamps or defaults.timestamps
    asked: dict[str, Any] = {"check_words": True} if check_words else {}
    return asked if timestamps is None else {**asked, "timestamps": timestamps}


def _resolved(voice: str | None, folder: str | None) -> str | None:
    """Return the path of an audio file that lies beside the table; any other voice as it is."""
    if voice and folder and "://" not in voice and "\0" not in voice:
        beside = Path(folder, voice)
        try:
            if beside.is_file():
                return str(beside)
        except OSError:  # a name that is too long for a path
            pass
    return voice


def _file_digest(voice: str) -> str | None:
    """Return the digest of a recording's bytes; None for a voice that is no file."""
    try:
        state = Path(voice).stat()
        return _digest(voice, state.st_mtime_ns, state.st_size)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=1024)
def _digest(path: str, _changed_ns: int, _size: int) -> str:
    """Return a file's digest, read again when the file was changed."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
