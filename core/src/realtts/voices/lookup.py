"""Finding the voice that a caller means: samples, then a file, then a saved name, then a built-in voice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.errors import VoiceNotFound, VoiceUnreadable, VoiceUnsupported, closest
from realtts.settings import data_dir
from realtts.speech import Voice, VoiceInfo
from realtts.voices import reference
from realtts.voices.store import VoiceStore

if TYPE_CHECKING:
    from realtts.settings import Settings
    from realtts.spec import ProviderSpec

__all__ = ["find_voice", "saved_voices"]

_AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff"}


def find_voice(voice: Any, *, reference_text: str | None, spec: ProviderSpec, settings: Settings) -> Voice | str | None:
    """The reference recording, checked, or the id of a built-in voice.

    A provider that cannot clone looks among its built-in voices only, so that a file of the same name is no
    obstacle.

    Args:
        voice: None, ``(samples, sample_rate)``, a `Voice`, a path, a saved voice's name or a built-in voice's
            id.
        reference_text: Words of the recording; given here they win over the saved ones.
        spec: Who will use it.
        settings: Where saved voices lie.

    Raises:
        VoiceError: It cannot be found, read or used by this provider.
    """
    who = f"provider {spec.name!r}"
    if voice is None:
        if reference_text is not None:
            raise VoiceUnsupported(
                "reference_text is given without a voice", who=who, fix="give the recording as voice="
            )
        return None
    if isinstance(voice, str) and "clone" not in spec.capabilities:
        return _built_in(voice, spec, who)
    if isinstance(voice, (str, os.PathLike)) and not Path(voice).is_file():
        found = _by_name(voice, spec, settings, who)
        if isinstance(found, str):
            return found
        voice = found
    if "clone" not in spec.capabilities:
        raise VoiceUnsupported(
            "it cannot clone voices", who=who, fix=f"{_choices(spec)}, or use a provider that clones"
        )
    loaded = reference.load(voice, text=reference_text, seconds=spec.reference_seconds, who=who)
    if spec.reference_text == "required" and not (loaded.text or "").strip():
        raise VoiceUnsupported(
            "it needs the words that are spoken in the reference audio",
            who=who,
            fix="give them as reference_text=",
        )
    return loaded


def saved_voices(settings: Settings) -> list[VoiceInfo]:
    """The saved voices, as entries beside a provider's own."""
    return [VoiceInfo(id=name, name=name, description="saved voice") for name in _store(settings).names()]


def _by_name(voice: str | os.PathLike[str], spec: ProviderSpec, settings: Settings, who: str) -> Voice | str:
    """What a string or path means that is not a file."""
    name, path = os.fspath(voice), Path(voice)
    store = _store(settings)
    if isinstance(voice, str) and name in store.names():
        return store.get(name)
    if path.is_dir():
        raise VoiceUnreadable(f"{name!r} is a folder", who=who, fix="give an audio file")
    looks_like_path = not isinstance(voice, str) or path.suffix.lower() in _AUDIO_SUFFIXES or os.sep in name
    if looks_like_path and "voices" in spec.capabilities and isinstance(voice, str) and not path.suffix:
        looks_like_path = False  # built-in ids may hold a slash
    if looks_like_path:
        raise VoiceNotFound(f"there is no file {name!r}", who=who, fix="correct the path")
    if "voices" in spec.capabilities:
        return name  # checked against the model's own list once it is loaded
    raise VoiceNotFound(
        f"there is no file or saved voice {name!r}{closest(name, store.names())}",
        who=who,
        fix="give an audio file, or save it first: realtts voices add NAME FILE",
    )


def _built_in(name: str, spec: ProviderSpec, who: str) -> str:
    path = Path(name)
    if path.is_dir() and (os.sep in name or name.startswith(".")):
        raise VoiceUnreadable(f"{name!r} is a folder", who=who, fix=_choices(spec))
    if path.suffix.lower() in _AUDIO_SUFFIXES:
        if path.is_file():
            raise VoiceUnsupported("it cannot clone voices", who=who, fix=f"{_choices(spec)}, or use one that clones")
        raise VoiceNotFound(f"there is no file {name!r}", who=who, fix="correct the path")
    if "voices" not in spec.capabilities:
        raise VoiceUnsupported("it has one voice and cannot clone others", who=who, fix="leave voice out")
    return name


def _choices(spec: ProviderSpec) -> str:
    return "choose a built-in voice" if "voices" in spec.capabilities else "leave voice out"


def _store(settings: Settings) -> VoiceStore:
    return VoiceStore(data_dir(settings) / "voices")
