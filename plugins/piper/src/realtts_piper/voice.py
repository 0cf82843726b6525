"""The configuration of a voice, read from its JSON file and checked."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from realtts.contract.types import VoiceInfo
from realtts.documents import MALFORMED, read_json_table, reason_of
from realtts.errors import CheckpointCorrupt, VoiceNotFound
from realtts.kit.languages import language_tag
from realtts.kit.voices import matching_name, no_voice
from realtts_piper.catalogue import RATES, language_tags

if TYPE_CHECKING:
    from pathlib import Path

    from realtts_piper.files import VoiceFiles

__all__ = ["BEGIN", "END", "PAD", "UNTOLD", "PiperVoice", "read_voice"]

PAD, BEGIN, END = "_", "^", "$"
"""Symbols that no text has: between phonemes, before the first and behind the last one."""

UNTOLD = "und"
"""The tag of a language that nobody has told."""

_WHO = "provider 'piper'"
_Id = Annotated[int, Field(ge=0, lt=1 << 20)]
_Scale = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Audio(_Part):
    sample_rate: int
    quality: str = ""


class _Espeak(_Part):
    voice: str = Field("", max_length=60, pattern=r"^[\w+/-]*$")  # espeak-ng looks for a file of that name


class _Language(_Part):
    code: str = ""


class _Inference(_Part):
    noise_scale: _Scale = 0.667
    length_scale: Annotated[float, Field(gt=0, le=100)] = 1.0
    noise_w: _Scale = 0.8


class PiperVoice(_Part):
    """A voice as its configuration describes it; one file of weights may hold several speakers.

    Attributes:
        audio: Sample rate and quality.
        espeak: Name of espeak-ng's voice whose phonemes it was trained on.
        language: Its code, such as ``"en_US"``.
        inference: Scales that are used where a request gives none.
        phoneme_type: What its symbols are made by.
        num_symbols: Symbols that the graph has.
        num_speakers: Speakers that the graph has.
        speaker_id_map: Their numbers by name.
        default_speaker_id: Who speaks where nobody is named.
        phoneme_id_map: Numbers of symbols by phoneme.
        hop_length: Samples per frame.
        vowel_clusters: Phonemes that are one symbol together.
        dataset: Name of the recordings that it was trained on.
    """

    audio: _Audio
    espeak: _Espeak = _Espeak()
    language: _Language = _Language()
    inference: _Inference = _Inference()
    phoneme_type: Literal["espeak", "text", "pinyin", "hebrew", "japanese", "thai"] = "espeak"
    num_symbols: int = Field(gt=0)
    num_speakers: int = Field(ge=0, le=1 << 20)
    speaker_id_map: dict[str, _Id] = {}
    default_speaker_id: _Id = 0
    phoneme_id_map: dict[str, list[_Id]]
    hop_length: int = Field(256, gt=0, le=1 << 16)
    vowel_clusters: list[list[str]] = []
    dataset: str = ""

    @property
    def rate(self) -> int:
        """Hz."""
        return self.audio.sample_rate

    @property
    def tags(self) -> tuple[str, ...]:
        """BCP 47 tags of the one language that it speaks, with its region first; ``und`` where it is not told."""
        code = (self.language.code or self.espeak.voice).strip()
        return language_tags(language_tag(code)) if code else (UNTOLD,)

    @property
    def speakers(self) -> dict[str, int]:
        """Numbers of the speakers by name; of one without names, by number."""
        named = dict(sorted(self.speaker_id_map.items(), key=lambda item: item[1]))
        have = set(named.values())
        numbers = range(max(1, self.num_speakers))
        return {**named, **{str(number): number for number in numbers if number not in have}}

    def infos(self, name: str, licence: str) -> list[VoiceInfo]:
        """Return its speakers as built-in voices.

        Args:
            name: Of the voice; that of a single speaker.
            licence: Shown with each.
        """
        about = ", ".join(filter(None, (self.audio.quality, f"licence: {licence or 'not stated'}")))
        if self.num_speakers <= 1:
            return [
                VoiceInfo(name, self.dataset or name, self.tags[0], "", about, (self.dataset,) if self.dataset else ())
            ]
        return [
            VoiceInfo(speaker, speaker, self.tags[0], "", about, (str(number),) if speaker != str(number) else ())
            for speaker, number in self.speakers.items()
        ]

    def speaker(self, asked: str | None, name: str) -> int | None:
        """Return the number of the speaker who is meant; None: the graph has one only.

        Args:
            asked: Name or number; None: the default one.
            name: Of the voice.

        Raises:
            VoiceNotFound: There is none.
        """
        if self.num_speakers <= 1:
            if asked is None or matching_name(asked, filter(None, (name, self.dataset))) is not None:
                return None
            raise VoiceNotFound(
                f"no voice {asked!r:.60}: this model is {name!r}, which has one speaker", who=_WHO,
                fix="give no voice, or load another model",
            )  # fmt: skip
        if asked is None:
            return self.default_speaker_id
        speakers = self.speakers
        match = matching_name(asked, speakers)
        if match is not None:
            return speakers[match]
        if asked.strip().isdecimal() and int(asked) in speakers.values():
            return int(asked)
        raise no_voice(asked, speakers, _WHO, instead="give its number, or no voice for the default one")

    def ids(self, phonemes: list[str]) -> tuple[list[int], list[tuple[int, int]]]:
        """Return what the graph reads, and for each phoneme its first number's place and one past its last one's.

        A phoneme that the voice does not have takes no place.
        """
        pad = self.phoneme_id_map[PAD]
        ids = [*self.phoneme_id_map[BEGIN], *pad]
        places = []
        for phoneme in phonemes:
            first = len(ids)
            numbers = self.phoneme_id_map.get(phoneme)
            if numbers is not None:
                ids += [*numbers, *pad]
            places.append((first, len(ids)))
        return [*ids, *self.phoneme_id_map[END]], places


def read_voice(files: VoiceFiles) -> PiperVoice:
    """Read and check a voice's configuration.

    Raises:
        CheckpointCorrupt: It is damaged, or is none, or cannot be used.
    """
    path = files.config
    try:
        stat = path.stat()
    except OSError as error:
        raise _faulty(path, reason_of(error)) from error
    return _read(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=16)
def _read(path: Path, _changed_at: int, _size: int) -> PiperVoice:
    """Read a configuration that has changed since it was read: it is asked for at every request."""
    try:
        voice = PiperVoice.model_validate(read_json_table(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _faulty(path, f"{where}: {first['msg']}") from error
    except MALFORMED as error:
        raise _faulty(path, reason_of(error)) from error
    _check(voice, path)
    return voice


def _check(voice: PiperVoice, path: Path) -> None:
    if voice.rate not in RATES:
        raise _faulty(path, f"audio.sample_rate is {voice.rate} Hz, not one of {', '.join(map(str, RATES))}")
    missing = [symbol for symbol in (PAD, BEGIN, END) if not voice.phoneme_id_map.get(symbol)]
    if missing:
        raise _faulty(path, f"phoneme_id_map lacks {' '.join(missing)}")
    highest = max(number for numbers in voice.phoneme_id_map.values() for number in numbers)
    if highest >= voice.num_symbols:
        raise _faulty(path, f"phoneme_id_map has the number {highest}, and num_symbols is {voice.num_symbols}")
    if voice.phoneme_type == "espeak" and not voice.espeak.voice:
        raise _faulty(path, "espeak.voice is missing")
    speakers = max(1, voice.num_speakers)
    wrong = [name for name, number in voice.speaker_id_map.items() if number >= speakers and voice.num_speakers > 1]
    if wrong or voice.default_speaker_id >= speakers:
        raise _faulty(path, f"it names speakers beyond the {speakers} that it has")


def _faulty(path: Path, what: str) -> CheckpointCorrupt:
    return CheckpointCorrupt(
        f"{path} is no configuration of a Piper voice: {what}", who=_WHO,
        fix="get the file anew from where the voice comes from: NAME.onnx.json beside NAME.onnx",
    )  # fmt: skip
