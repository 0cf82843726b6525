"""Finding the voice that a caller means: samples, then a file, then a saved name, then a built-in voice."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from realtts.contract.types import Voice, VoiceInfo
from realtts.errors import VoiceNotFound, VoiceUnreadable, VoiceUnsuitable, VoiceUnsupported, closest, enumeration
from realtts.kit.languages import closest_language, resolve_language
from realtts.kit.voices import blend_name, blend_parts, matching_name
from realtts.settings_sources import data_dir
from realtts.text import check_text
from realtts.voices import reference
from realtts.voices.store import VoiceStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.spec import ProviderSpec
    from realtts.settings import Settings

__all__ = ["builtin_voice", "find_voice", "named_voice", "saved_voices"]

_AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff"}
_OTHER_ENDS = re.compile(r"(?i)(?![a-z]{2,3}([-_][a-z]{4})?([-_]([a-z]{2}|\d{3}))?([.@].*)?$)[a-z]{2,3}([-_]\w+)+")
"""A tag that ends neither in a script nor in a region: what it names is a voice of its own, which there is not."""

_MOST_WORDS = 10_000
_LONGEST_NAME = 4096  # as long as a path may be; a text passed by mistake is longer or holds nothing of the kind


class _BuiltIn(NamedTuple):
    """A voice of the model's own; checked against its list once it is loaded."""

    id: str


def find_voice(voice: Any, *, reference_text: str | None, spec: ProviderSpec, settings: Settings) -> Voice | str | None:
    """Return the checked reference recording, or the id of a built-in voice.

    A provider that cannot clone looks among its built-in voices only, so that a file of the same name is no obstacle.

    Args:
        voice: None, ``(samples, sample_rate)``, a `Voice`, a path, a saved voice's name, a built-in voice's id, or an
            entry of `RealProvider.voices`, which is never a file.
        reference_text: Words of the recording; given here they win over the saved ones.
        spec: Who will use it.
        settings: Where saved voices lie.

    Raises:
        VoiceError: It cannot be found, read or used by this provider; or it is an address, and those are refused.
        TextError: The words are no text.
    """
    who = f"provider {spec.name!r}"
    # Blank words are no words: a provider may need them, or find them out.
    if isinstance(reference_text, str) and not reference_text.strip():
        reference_text = None
    if reference_text is not None:
        check_text(reference_text, max_chars=_MOST_WORDS, who=f"{who}, reference_text")
    if isinstance(voice, str) and "://" in voice:
        from realtts.voices import remote  # with http and ssl, which the import of realtts need not wait for

        if remote.is_address(voice):
            voice = remote.fetch(voice, allowed=settings.voice_urls, seconds=spec.reference_seconds, who=who)
    source = _source(voice, spec, settings, who)
    if source is None or isinstance(source, _BuiltIn):
        if reference_text is not None:
            raise VoiceUnsupported(
                "it is given without a recording", who=f"{who}, reference_text", fix="give the recording as voice="
            )
        return source.id if source is not None else None
    if "clone" not in spec.capabilities:
        raise VoiceUnsupported(
            "it cannot clone voices", who=who, fix=f"{_choices(spec)}, or use a provider that clones"
        )
    return _recording(source, reference_text, spec, who)


def named_voice(name: str, *, spec: ProviderSpec, settings: Settings) -> Voice | str:
    """Return the saved or built-in voice of a name that stands in a text: never a file or an address.

    Args:
        name: The name.
        spec: Who will use it.
        settings: Where saved voices lie.

    Returns:
        A recording, or what is looked up among the built-in voices once the model is loaded.

    Raises:
        VoiceError: There is none, or this provider cannot use it.
    """
    who = f"provider {spec.name!r}"
    source = _named(name, spec, settings, who)
    return source.id if isinstance(source, _BuiltIn) else _recording(source, None, spec, who)


def _recording(source: Any, reference_text: str | None, spec: ProviderSpec, who: str) -> Voice:
    loaded = reference.load(source, text=reference_text, seconds=spec.reference_seconds, who=who)
    if spec.reference_text == "required" and not (loaded.text or "").strip():
        raise VoiceUnsupported(
            "the words that are spoken in the reference audio are needed",
            who=f"{who}, reference_text",
            fix="give them as reference_text=",
        )
    return loaded


def builtin_voice(name: str, voices: Sequence[VoiceInfo], *, spec: ProviderSpec, settings: Settings) -> str:
    """Return the id of the built-in voice that a caller means: by id, name or alias; case does not matter.

    Of a provider with the capability ``blends`` the name may be a blend, which comes back with the ids of its voices.
    One with ``unlisted_voices`` judges names that it does not list itself.

    Args:
        name: What the caller wrote.
        voices: Those that there are.
        spec: The provider.
        settings: Where saved voices lie.

    Raises:
        VoiceNotFound: There is no such voice, with the closest; or the share of one in a blend is no positive number.
        VoiceUnsupported: There is a saved voice of that name, and the provider cannot clone.
    """
    if "blends" not in spec.capabilities or not {",", ":"} & set(name):
        return _single_voice(name, voices, spec, settings)
    shares: dict[str, float] = {}
    for part, share in blend_parts(name, f"provider {spec.name!r}"):
        voice = _single_voice(part, voices, spec, settings)
        shares[voice] = shares.get(voice, 0.0) + share
    return blend_name(shares.items())


def _single_voice(name: str, voices: Sequence[VoiceInfo], spec: ProviderSpec, settings: Settings) -> str:
    who = f"provider {spec.name!r}"
    ids = [voice.id for voice in voices]
    if name in ids:
        return name
    for voice in voices:
        if matching_name(name, (voice.id, voice.name, *voice.aliases)) is not None:
            return voice.id
    # Where tags of languages are aliases, as of espeak's voices, a voice may be meant by any name of its language.
    by_alias = {alias: voice.id for voice in reversed(voices) for alias in voice.aliases}
    if not _OTHER_ENDS.fullmatch(name) and (tag := resolve_language(name, by_alias)) is not None:
        return by_alias[tag]
    if "clone" not in spec.capabilities and matching_name(name, _store(settings).names()) is not None:
        raise VoiceUnsupported(
            f"{name!r} is a saved recording, and this provider cannot clone voices", who=who,
            fix=f"choose from {enumeration(ids)}, or use a provider that clones",
        )  # fmt: skip
    if "unlisted_voices" in spec.capabilities:
        return name
    raise VoiceNotFound(
        f"there is no file, saved voice or built-in voice {name!r:.100}{_hint(name, voices)}", who=who,
        fix=f"choose from {enumeration(ids)}; RealProvider.voices() and 'realtts voices list -p NAME' list them",
    )  # fmt: skip


def _hint(name: str, voices: Sequence[VoiceInfo]) -> str:
    """Return which voice was probably meant: by its language where that names voices, else by id, name or alias."""
    aliases = [alias for voice in voices for alias in voice.aliases]
    names = [each for voice in voices for each in (voice.id, voice.name, *voice.aliases)]
    return closest_language(name, aliases) or closest(name, names)


def saved_voices(settings: Settings) -> list[VoiceInfo]:
    """Return the saved voices, as entries beside a provider's own."""
    return [VoiceInfo(id=name, name=name, description="saved voice") for name in _store(settings).names()]


def _source(voice: Any, spec: ProviderSpec, settings: Settings, who: str) -> Any:
    """Return what the caller means: a recording in a form that `reference.load` takes, a built-in voice, or None."""
    if isinstance(voice, os.PathLike):
        path = os.fspath(voice)
        if not isinstance(path, str):
            raise VoiceUnsuitable(f"the path is {type(path).__name__}", who=who, fix="give a str or pathlib.Path")
        return _file(path, who)
    if isinstance(voice, VoiceInfo):
        return _named(voice.id, spec, settings, who)
    return _by_text(voice, spec, settings, who) if isinstance(voice, str) else voice


def _by_text(voice: str, spec: ProviderSpec, settings: Settings, who: str) -> Any:
    """Return the file, the saved or the built-in voice that a text means; looked up in this order."""
    if "\0" in voice or len(voice) > _LONGEST_NAME:
        raise VoiceNotFound(f"{voice!r:.60} is no name", who=who, fix="give a file, a saved voice or a built-in voice")
    if "clone" not in spec.capabilities:
        return _without_cloning(voice, spec, settings, who)
    if _is(os.path.isfile, voice):
        return Path(voice)
    store = _store(settings)
    if (saved := matching_name(voice, store.names())) is not None:
        return store.get(saved)
    if "voices" in spec.capabilities and not _is(os.path.isdir, voice) and not _has_audio_suffix(voice):
        return _BuiltIn(voice)
    if os.sep in voice or _has_audio_suffix(voice) or _is(os.path.isdir, voice):
        return _file(voice, who)
    raise VoiceNotFound(
        f"there is no file or saved voice {voice!r:.100}{closest(voice, store.names())}",
        who=who,
        fix="give an audio file, or save it first: realtts voices add NAME FILE",
    )


def _named(name: str, spec: ProviderSpec, settings: Settings, who: str) -> Voice | _BuiltIn:
    """Return the saved or built-in voice of a name that comes from outside: never a file."""
    store = _store(settings)
    saved = matching_name(name, store.names())
    if "clone" in spec.capabilities and saved is not None:
        return store.get(saved)
    if "voices" in spec.capabilities:
        return _BuiltIn(name)
    if saved is not None:
        _without_cloning(saved, spec, settings, who)
    raise VoiceNotFound(
        f"there is no saved voice {name!r:.100}{closest(name, store.names())}",
        who=who,
        fix="save it first: realtts voices add NAME FILE",
    )


def _file(path: str, who: str) -> Path:
    if _is(os.path.isdir, path):
        raise VoiceUnreadable(f"{path!r} is a folder", who=who, fix="give an audio file")
    if not _is(os.path.isfile, path):
        raise VoiceNotFound(f"there is no file {path!r:.200}{_closest_file(path)}", who=who, fix="correct the path")
    return Path(path)


def _closest_file(path: str) -> str:
    """Name the file beside a missing one that was probably meant."""
    folder, name = os.path.split(path)
    try:
        beside = [entry.name for entry in os.scandir(folder or ".") if _has_audio_suffix(entry.name)]
    except (OSError, ValueError):
        return ""
    return closest(name, beside)


def _without_cloning(voice: str, spec: ProviderSpec, settings: Settings, who: str) -> Path | _BuiltIn:
    """Return a built-in voice, unless the name can only be a file's."""
    if _has_audio_suffix(voice) or (_is(os.path.isdir, voice) and (os.sep in voice or voice.startswith("."))):
        return _file(voice, who)
    if "voices" not in spec.capabilities:
        if matching_name(voice, _store(settings).names()) is not None:
            raise VoiceUnsupported(
                f"{voice!r} is a saved recording, and this provider cannot clone voices", who=who,
                fix="leave voice out, or use a provider that clones",
            )  # fmt: skip
        raise VoiceUnsupported("it has one voice and cannot clone others", who=who, fix="leave voice out")
    return _BuiltIn(voice)


def _is(test: Any, path: str) -> bool:
    """Run a test of `os.path`; False for what cannot be a path at all."""
    try:
        return bool(test(path))
    except ValueError:
        return False


def _has_audio_suffix(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in _AUDIO_SUFFIXES  # noqa: PTH122 - Path refuses nothing less


def _choices(spec: ProviderSpec) -> str:
    return "choose a built-in voice" if "voices" in spec.capabilities else "leave voice out"


def _store(settings: Settings) -> VoiceStore:
    return VoiceStore(data_dir(settings) / "voices")
