"""The published voices and weights of Kokoro-82M. Imports nothing heavy: the spec reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from realtts.contract.spec import Checkpoint

if TYPE_CHECKING:
    from realtts.contract.types import VoiceInfo

__all__ = ["CHECKPOINTS", "LANGUAGES", "PACKAGES", "VOICES", "Language", "language_of", "voice_info"]

_HUB = "onnx-community/Kokoro-82M-v1.0-ONNX"
_REVISION = "1939ad2a8e416c0acfeecc08a694d14ef25f2231"
_VOICE_BYTES = 510 * 256 * 4

PACKAGES = "packages"
"""Name of the checkpoint whose files are those of installed distributions."""


class Language(NamedTuple):
    """A language that the model has learnt.

    Attributes:
        letter: The first one of its voices' names.
        tags: BCP 47 tags, the usual one first.
        phonemizers: What reads its texts, the usual one first.
    """

    letter: str
    tags: tuple[str, ...]
    phonemizers: tuple[str, ...]

    @property
    def tag(self) -> str:
        """The usual tag."""
        return self.tags[0]


_LANGUAGES = (
    Language("a", ("en-us", "en"), ("misaki", "espeak")),
    Language("b", ("en-gb",), ("misaki", "espeak")),
    Language("e", ("es",), ("espeak",)),
    Language("f", ("fr-fr", "fr"), ("espeak",)),
    Language("h", ("hi",), ("espeak",)),
    Language("i", ("it",), ("espeak",)),
    Language("j", ("ja",), ("misaki",)),
    Language("p", ("pt-br", "pt"), ("espeak",)),
    Language("z", ("zh",), ("misaki",)),
)
LANGUAGES = tuple(tag for language in _LANGUAGES for tag in language.tags)

VOICES = tuple(
    f"{group}_{name}"
    for group, names in {
        "af": "heart alloy aoede bella jessica kore nicole nova river sarah sky",
        "am": "adam echo eric fenrir liam michael onyx puck santa",
        "bf": "alice emma isabella lily",
        "bm": "daniel fable george lewis",
        "ef": "dora",
        "em": "alex santa",
        "ff": "siwis",
        "hf": "alpha beta",
        "hm": "omega psi",
        "if": "sara",
        "im": "nicola",
        "jf": "alpha gongitsune nezumi tebukuro",
        "jm": "kumo",
        "pf": "dora",
        "pm": "alex santa",
        "zf": "xiaobei xiaoni xiaoxiao xiaoyi",
        "zm": "yunjian yunxi yunxia yunyang",
    }.items()
    for name in names.split()
)
"""Of version 1.0, the default one of each language first."""

_GENDERS = {"f": "female", "m": "male"}


def language_of(key: str) -> Language:
    """Return a language by one of its tags, or by the name of one of its voices.

    Raises:
        KeyError: There is none.
    """
    for language in _LANGUAGES:
        if key in language.tags or (key[1:2] in _GENDERS and key[2:3] == "_" and key[0] == language.letter):
            return language
    raise KeyError(key)


def voice_info(name: str) -> VoiceInfo:
    """Return a voice as users see it; its name tells language and gender, as far as it is of the usual form."""
    from realtts.contract.types import VoiceInfo

    try:
        language = language_of(name).tag
    except KeyError:
        return VoiceInfo(name)
    short = name[3:]
    alone = sum(each[3:] == short for each in VOICES) == 1
    return VoiceInfo(name, short.title(), language, _GENDERS[name[1]], "", (short,) if alone else ())


def _published(name: str, graph: str, size: int) -> Checkpoint:
    files = (graph, *(f"voices/{voice}.bin" for voice in VOICES))
    total = size + len(VOICES) * _VOICE_BYTES
    return Checkpoint(name, source=_HUB, size_bytes=total, licence="Apache-2.0", revision=_REVISION, files=files)


CHECKPOINTS = (
    _published("v1.0-int8", "onnx/model_quantized.onnx", 92_361_116),
    _published("v1.0-fp16", "onnx/model_fp16.onnx", 163_200_000),
    _published("v1.0-fp32", "onnx/model.onnx", 325_532_232),
    Checkpoint(PACKAGES, size_bytes=94_973_749, licence="Apache-2.0"),
)
