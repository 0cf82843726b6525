"""Which voices clients see, and which one they mean: one list for the voices of all models."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wyoming.info import Attribution, Info, TtsProgram, TtsVoice, TtsVoiceSpeaker

from realtts.errors import UnknownLanguage, VoiceNotFound, closest
from realtts.kit.languages import resolve_language
from realtts.kit.voices import matching_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realtts import VoiceInfo
    from realtts.serving.models import Served, ServedModels
    from realtts_wyoming.events import WantedVoice

__all__ = ["VoiceChoice", "VoiceList"]

_WHO = "realtts wyoming"
_FALLBACK = "en"


@dataclass(frozen=True)
class VoiceChoice:
    """Who speaks a text, in the words of `RealProvider`.

    Attributes:
        model: Whose voice.
        voice: A built-in or saved one; None: the model's default one.
        language: Tag of its language; None: the model's default, or as it finds out.
    """

    model: Served
    voice: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class _Entry:
    """A line of the list.

    Attributes:
        name: What clients send.
        label: What people read.
        tag: Its language.
        choice: What it means.
        speakers: Ids of the model's voices that a client may name beside it.
    """

    name: str
    label: str
    tag: str
    choice: VoiceChoice
    speakers: tuple[str, ...] = ()


class VoiceList:
    """The voices of all models.

    Home Assistant takes the first program alone, shows its voices by language and sends a voice's name back, without
    the language. So there is one program; names begin with the provider's, so that no model hides another's voices; and
    a voice that speaks several languages is listed once for each, with the language behind its name.

    Args:
        models: Whose voices.
        renamed: Voices that other names mean, by name.
        version: Of the program.
    """

    def __init__(self, models: ServedModels, renamed: Mapping[str, str], version: str) -> None:
        self._models, self._renamed, self._version = models, renamed, version

    def info(self) -> Info:
        """Return the answer to ``describe``, as things are now. Loads no model and waits for none."""
        credit = Attribution("realtts", "")
        voices = [
            TtsVoice(
                name=entry.name,
                description=entry.label,
                attribution=Attribution(entry.choice.model.name, ""),
                installed=True,
                version=None,
                languages=[_canonical(entry.tag)],
                speakers=[TtsVoiceSpeaker(speaker) for speaker in entry.speakers] or None,
            )
            for entry in self._entries()
        ]
        program = TtsProgram(
            name="realtts",
            description="Open text-to-speech models: " + ", ".join(model.name for model in self._models.all),
            attribution=credit,
            installed=True,
            version=self._version,
            voices=voices,
            supports_synthesize_streaming=True,
        )
        return Info(tts=[program])

    def choose(self, wanted: WantedVoice | None) -> VoiceChoice:
        """Return the voice that a client means.

        Args:
            wanted: A voice by name, with a speaker or without; or by language alone. A name is one of the list, or a
                provider's, or ``PROVIDER/VOICE``, or a voice's, for the first model that has it; all with ``@LANGUAGE``
                or without.

        Raises:
            VoiceNotFound: No model has it.
            UnknownLanguage: No model speaks it.
        """
        name = (wanted.name or "").strip() if wanted is not None else ""
        if wanted is None or not name:
            return self._by_language(wanted.language if wanted is not None else None)
        choice = self._by_name(self._renamed.get(name, name))
        if wanted.speaker and wanted.speaker.strip():
            return VoiceChoice(choice.model, wanted.speaker.strip(), choice.language)
        return choice

    def _entries(self) -> Iterator[_Entry]:
        for model in self._models.all:
            voices = model.voices_without_load()
            yield from _default_entries(model, voices)
            for voice in voices:
                yield from _voice_entries(model, voice)

    def _by_language(self, language: str | None) -> VoiceChoice:
        if not (language and language.strip()):
            return VoiceChoice(self._models.all[0])
        for model in self._models.all:
            spec = model.provider.spec
            tag = resolve_language(language, spec.languages, spec.language_names) if spec.languages else language
            if tag is not None:  # empty: the model finds the language out
                return VoiceChoice(model, None, tag or None)
        raise UnknownLanguage(
            f"no model speaks {language!r:.100}", who=_WHO, fix="choose one of the languages in the answer to describe"
        )

    def _by_name(self, name: str) -> VoiceChoice:
        entries = {entry.name: entry.choice for entry in self._entries()}
        listed = matching_name(name, entries)
        if listed is not None:
            return entries[listed]
        base, mark, language = name.rpartition("@")
        base, tag = (base, language) if mark and base and language else (name, None)
        owner, slash, voice = base.partition("/")
        for model in self._models.all:
            if matching_name(base, [model.name]) is not None:
                return VoiceChoice(model, None, tag)
            if slash and matching_name(owner, [model.name]) is not None:
                return VoiceChoice(model, voice, tag)
        for model in self._models.all:
            for info in model.voices_without_load():
                if matching_name(base, (info.id, info.name, *info.aliases)) is not None:
                    return VoiceChoice(model, info.id, tag or _own_language(model, info))
        raise VoiceNotFound(
            f"there is no voice {name!r:.100}{closest(name, list(entries))}", who=_WHO,
            fix="choose one of the names in the answer to describe",
        )  # fmt: skip


def _default_entries(model: Served, voices: Sequence[VoiceInfo]) -> Iterator[_Entry]:
    """Yield the model's default voice: in its default language, and in those that no other voice of it speaks."""
    label = f"default voice ({model.name})"
    tags = _languages(model)
    preferred = model.provider.settings.language
    default = (resolve_language(preferred, tags) if preferred else None) or tags[0]
    yield _Entry(model.name, label, default, VoiceChoice(model), tuple(voice.id for voice in voices))
    if all(voice.language for voice in voices):
        spoken = {default, *(_own_language(model, voice) for voice in voices)}
        yield from _in_languages(
            model, model.name, label, VoiceChoice(model), [tag for tag in tags if tag not in spoken]
        )


def _voice_entries(model: Served, voice: VoiceInfo) -> Iterator[_Entry]:
    label = f"{voice.name or voice.id} ({model.name})"
    name = f"{model.name}/{voice.id}"
    if voice.language:
        yield _Entry(name, label, voice.language, VoiceChoice(model, voice.id, _own_language(model, voice)))
        return
    choice, tags = VoiceChoice(model, voice.id), _languages(model)
    if len(tags) == 1:
        yield _Entry(name, label, tags[0], choice)
    else:
        yield from _in_languages(model, name, label, choice, tags)


def _in_languages(model: Served, name: str, label: str, choice: VoiceChoice, tags: Sequence[str]) -> Iterator[_Entry]:
    """Yield a voice once for each language."""
    for tag in tags:
        yield _Entry(f"{name}@{tag}", label, tag, VoiceChoice(model, choice.voice, tag))


def _languages(model: Served) -> tuple[str, ...]:
    return model.provider.spec.languages or (model.provider.settings.language or _FALLBACK,)


def _own_language(model: Served, voice: VoiceInfo) -> str | None:
    """Return a voice's language as its provider takes it: a German voice reads numbers in German."""
    spec = model.provider.spec
    return _resolved(voice.language, spec.languages, spec.language_names) if voice.language else None


@functools.lru_cache(4096)  # a model may have a hundred voices, each looked up among a hundred languages
def _resolved(language: str, tags: tuple[str, ...], names: tuple[tuple[str, str], ...]) -> str | None:
    return resolve_language(language, tags, names) or None


def _canonical(tag: str) -> str:
    """Return a tag as BCP 47 writes it: ``en-US``, ``zh-Hans``."""
    first, *rest = tag.replace("_", "-").split("-")
    parts = [first.lower()]
    for part in rest:
        private = "x" in parts
        region, script = len(part) == 2 and not private, len(part) == 4 and part.isalpha() and not private
        parts.append(part.upper() if region else part.title() if script else part.lower())
    return "-".join(parts)
