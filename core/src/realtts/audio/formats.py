"""The file formats that audio is written in."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

import soundfile

from realtts.errors import OutputError, closest
from realtts.exception_text import shown

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "FORMATS",
    "Format",
    "by_name",
    "by_suffix",
    "check_subtype",
    "file_rate",
    "name_by_suffix",
    "other_suffixes",
]


@dataclass(frozen=True)
class Format:
    """A kind of file and its usual encoding.

    Attributes:
        name: Name of the container, soundfile's where it knows it.
        subtype: Encoding when the caller names none.
    """

    name: str
    subtype: str

    @property
    def is_aac(self) -> bool:
        """Whether it holds AAC, which libsndfile does not write: see `realtts.audio.aac`."""
        return self.subtype == "AAC"


FORMATS = {
    "wav": Format("WAV", "PCM_16"),
    "flac": Format("FLAC", "PCM_16"),
    "ogg": Format("OGG", "OPUS"),
    "opus": Format("OGG", "OPUS"),
    "mp3": Format("MP3", "MPEG_LAYER_III"),
    "m4a": Format("M4A", "AAC"),
    "aac": Format("AAC", "AAC"),
}
"""Formats by suffix."""

_OTHERS = frozenset({
    "3gp", "aac", "ac3", "aif", "aifc", "aiff", "alac", "amr", "ape", "ass", "au", "avi", "caf", "dts",
    "eac3", "flv", "lrc", "m4a", "m4b", "m4r", "m4v", "mid", "mka", "mkv", "mov", "mp2", "mp4", "mpc",
    "mpg", "oga", "oma", "ra", "sbv", "spx", "ssa", "sub", "tta", "ttml", "txt", "wma", "wmv", "wv",
    "webm",
})  # fmt: skip
"""Suffixes of sound, films and subtitles that neither the standard library nor libsndfile lists everywhere."""

_RATES = {
    "OPUS": (8000, 12000, 16000, 24000, 48000),
    "MPEG_LAYER_III": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "AAC": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
}


def by_suffix(path: Path) -> Format:
    """Return the format of a path's suffix.

    Raises:
        OutputError: The suffix is missing or unknown.
    """
    suffix = path.suffix.lower()
    if suffix.removeprefix(".") not in FORMATS:
        suffixes = [f".{name}" for name in FORMATS]
        what = (
            f"unknown suffix {suffix!r}{closest(suffix, suffixes, others=other_suffixes())}"
            if suffix
            else "the file name has no suffix"
        )
        raise OutputError(what, who=str(path), fix=f"choose one of {', '.join(suffixes)}")
    return FORMATS[suffix[1:]]


def name_by_suffix(file_name: object) -> str:
    """Return the name of the format that the name of an open file means; WAV where it means none, or is a number."""
    suffix = file_name.rpartition(".")[2].lower() if isinstance(file_name, str) else ""
    return suffix if suffix in FORMATS else "wav"


def by_name(name: object) -> Format:
    """Return the format of a name, with or without a dot.

    Raises:
        OutputError: The name is unknown.
    """
    key = name.lower().removeprefix(".") if isinstance(name, str) else ""
    if key not in FORMATS:
        raise OutputError(
            f"unknown format{closest(key, FORMATS, others=other_suffixes())}",
            who=f"format {shown(name)}",
            fix=f"choose one of {', '.join(FORMATS)}",
        )
    return FORMATS[key]


def other_suffixes() -> set[str]:
    """Return suffixes of files that there are, without the dot: ``m4a`` is no misspelt ``wav``."""
    # Without the system's own tables, which differ from machine to machine.
    registered = (suffix.removeprefix(".") for table in mimetypes.MimeTypes().types_map for suffix in table)
    return {*registered, *map(str.lower, soundfile.available_formats()), *_OTHERS}


def check_subtype(file_format: Format, subtype: str | None, who: str) -> str:
    """Return the encoding to write: the caller's if the format has it, else the format's own default.

    Raises:
        OutputError: The format has no such encoding.
    """
    if subtype is None:
        return file_format.subtype
    subtypes = [file_format.subtype] if file_format.is_aac else soundfile.available_subtypes(file_format.name)
    given: object = subtype  # callers' types are theirs to check, or not
    name = given.upper() if isinstance(given, str) else ""
    if name not in subtypes:
        raise OutputError(
            f"{file_format.name} has no subtype {shown(subtype)}{closest(name, subtypes)}",
            who=who,
            fix=f"choose one of {', '.join(subtypes)}",
        )
    return name


def file_rate(sample_rate: int, subtype: str) -> int:
    """Return the file's sample rate in Hz: the requested one, or the next higher that the encoding has."""
    allowed = _RATES.get(subtype)
    if allowed is None:
        return sample_rate
    return next((rate for rate in allowed if rate >= sample_rate), allowed[-1])
