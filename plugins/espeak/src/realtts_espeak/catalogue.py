"""What the library can speak with: its voices, their languages, and the variants laid over them."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.types import VoiceInfo
from realtts.errors import InvalidOption, UnknownLanguage, VoiceNotFound, closest
from realtts.kit.languages import closest_language, resolve_language
from realtts_espeak.binding import VoiceRecord
from realtts_espeak.library import fresh_library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts.contract.spec import Checkpoint

__all__ = ["DEFAULT_VOICE", "BuiltinVoice", "Catalogue", "read_catalogue", "voices_of"]

DEFAULT_VOICE = "en-us"

Languages = tuple[tuple[str, int], ...]
"""Tags with espeak's priority, lower is better; the voice's own language first."""

_VARIANT_GENDER = {0: "", 1: "male", 2: "female"}
_PREFERRED = {"en": DEFAULT_VOICE}
"""Where we differ from espeak's priorities: its "en" is British, what most people expect is not."""

_UNUSABLE = frozenset({"art/xex", "gmq/fo", "trk/kaa"})
"""Listed, but their dictionaries are not in the wheel: espeak complains on stderr and stays silent."""

_MAX_NAME_BYTES = 39
"""espeak appends "+variant" to the voice's identifier in 40 bytes, unchecked."""


@dataclass(frozen=True)
class BuiltinVoice:
    """One voice of espeak.

    Attributes:
        id: Its first language tag, or the last part of ``identifier`` where that tag is taken.
        identifier: espeak's file name, such as ``"gmw/en-US"``.
        name: espeak's name, such as ``"English (America)"``.
        languages: Tags with priorities.
        gender: ``"male"``, ``"female"`` or empty.
    """

    id: str
    identifier: str
    name: str
    languages: Languages
    gender: str

    @property
    def language(self) -> str:
        """The voice's own language."""
        return self.languages[0][0]

    def info(self, tags: tuple[str, ...]) -> VoiceInfo:
        """Return the voice as users see it.

        Args:
            tags: Those of its languages that mean this voice and no other.
        """
        about = f"espeak-ng {self.identifier}; takes any variant"
        return VoiceInfo(self.id, self.name, self.language, self.gender, about, (self.identifier, *tags))


class Catalogue:
    """The voices and variants of one library.

    Args:
        voices: All voices, in the library's order.
        variants: Names of the variants.
    """

    def __init__(self, voices: tuple[BuiltinVoice, ...], variants: tuple[str, ...]) -> None:
        self.voices = voices
        self.variants = variants
        self._by_name = {
            key.lower(): voice for voice in reversed(voices) for key in (voice.name, voice.identifier, voice.id)
        }
        self._by_language: dict[str, tuple[int, BuiltinVoice]] = {}
        for voice in voices:
            for tag, priority in voice.languages:
                best = self._by_language.get(tag.lower())
                if best is None or priority < best[0]:
                    self._by_language[tag.lower()] = (priority, voice)

    def infos(self) -> tuple[VoiceInfo, ...]:
        """Return all voices as users see them: what may be passed as a voice leads to the one that `voice` returns."""
        return tuple(
            voice.info(tuple(tag for tag, _ in voice.languages if self.voice(tag) is voice)) for voice in self.voices
        )

    def voice(self, name: str) -> BuiltinVoice:
        """Return the voice of an id, an espeak identifier or name, or a language tag; case does not count.

        Raises:
            VoiceNotFound: There is none.
        """
        match = self._by_name.get(name.lower()) or self._speaking(name)
        if match is None:
            ids = [voice.id for voice in self.voices]
            raise VoiceNotFound(
                f"no voice {name!r}{closest(name.lower(), ids)}",
                who="espeak",
                fix="choose an id of voices(), and lay a variant over it with the option variant",
            )
        return match

    def speaker(self, language: str) -> BuiltinVoice:
        """Return the voice for a language, given by tag, code or name; a region that espeak lacks does not count.

        Raises:
            UnknownLanguage: No voice speaks it.
        """
        tag = resolve_language(language, self._by_language)
        speaker = None if tag is None else self._speaking(tag)
        if speaker is not None:
            return speaker
        raise UnknownLanguage(
            f"no voice speaks {language!r}{closest_language(language, self._by_language)}",
            who="espeak",
            fix="choose a language of the spec, or a voice of voices()",
        )

    def _speaking(self, tag: str) -> BuiltinVoice | None:
        tag = tag.lower().replace("_", "-")
        voice = self._by_language.get(_PREFERRED.get(tag, tag))
        return voice[1] if voice else None

    def named(self, voice: BuiltinVoice, variant: str) -> str:
        """Return what espeak calls the voice with a variant over it, ``""`` for none.

        Raises:
            InvalidOption: No such variant, or espeak cannot take the two together.
        """
        if not variant:
            return voice.identifier
        variant_name = {listed.lower(): listed for listed in self.variants}.get(variant.lower())
        if variant_name is None:
            raise InvalidOption(
                f"no variant {variant!r}{closest(variant, self.variants)}",
                who="espeak option variant",
                fix=f"choose one of {', '.join(self.variants)}",
            )
        name = f"{voice.identifier}+{variant_name}"
        if len(name.encode()) > _MAX_NAME_BYTES:
            raise InvalidOption(
                f"the names {voice.id!r} and {variant_name!r} are too long together for espeak",
                who="espeak option variant",
                fix="choose another variant for this voice",
            )
        return name


@functools.cache
def voices_of(checkpoint: Checkpoint | None) -> tuple[VoiceInfo, ...]:  # noqa: ARG001 - the voices come with the library
    """Return all voices, before a model is loaded; the library is asked once."""
    with fresh_library() as library:
        return read_catalogue(library).infos()


def read_catalogue(library: ctypes.CDLL) -> Catalogue:
    """Ask the library for its voices and variants."""
    voices: list[BuiltinVoice] = []
    taken: set[str] = set()
    # Sorted, because espeak lists them as the file system does, and the first one takes the id.
    for identifier, name, gender, languages in sorted(_records(library, b"")):
        if identifier.replace("\\", "/") in _UNUSABLE:
            continue
        tag = languages[0][0].lower()
        voice_id = tag if tag not in taken else _file_name(identifier).lower()
        taken.add(voice_id)
        voices.append(BuiltinVoice(voice_id, identifier, name, languages, gender))
    variants = sorted({_file_name(record[0]) for record in _records(library, b"variant")}, key=str.lower)
    return Catalogue(tuple(voices), tuple(variants))


def _records(library: ctypes.CDLL, language: bytes) -> Iterator[tuple[str, str, str, Languages]]:
    # Variants, and mbrola voices (whose data is not in the wheel), are listed only when asked for by name.
    buffer = ctypes.create_string_buffer(language)
    pattern = VoiceRecord(languages=ctypes.addressof(buffer)) if language else None
    records = library.espeak_ListVoices(pattern)
    index = 0
    while records[index]:
        record = records[index].contents
        index += 1
        languages = tuple(_languages(record.languages))
        yield (
            record.identifier.decode(),
            record.name.decode().strip(),
            _VARIANT_GENDER.get(record.gender, ""),
            languages,
        )


def _file_name(identifier: str) -> str:
    return identifier.replace("\\", "/").rpartition("/")[2]


def _languages(address: int) -> Iterator[tuple[str, int]]:
    while priority := ctypes.string_at(address, 1)[0]:
        tag = ctypes.string_at(address + 1)
        yield tag.decode(), priority
        address += 2 + len(tag)
