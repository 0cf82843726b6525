"""The voices of the hub's repository by name: ``en_US-joe-medium``. Imports nothing heavy: the spec reads it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from realtts.contract.spec import Checkpoint

__all__ = ["CHECKPOINTS", "DEFAULT", "LANGUAGES", "RATES", "VoiceName", "language_tags"]

HUB = "rhasspy/piper-voices"
DEFAULT = "en_US-joe-medium"

RATES = (22050, 16000, 8000, 11025, 24000, 32000, 44100, 48000)
"""Hz; the published voices have one of the first two."""

_LOW_RATE = frozenset({"low", "x_low"})
_LICENCES = {DEFAULT: "CC0-1.0"}
"""Of the recordings, by the voice's model card; those of the others are shown once the card is there."""

_MORE_LANGUAGES = ("he-il", "ja-jp", "th-th", "id-id", "te-in", "eu-es", "bg-bg", "hr-hr", "et-ee", "lt-lt", "ko-kr")
"""Beyond those of the published voices: of voices that people have trained."""


class VoiceName(NamedTuple):
    """What the name of a voice says.

    Attributes:
        code: Language and region, such as ``"en_US"``.
        speaker: Such as ``"joe"``.
        quality: ``"x_low"``, ``"low"``, ``"medium"`` or ``"high"``.
    """

    code: str
    speaker: str
    quality: str

    @property
    def folder(self) -> str:
        """Folder in the hub's repository."""
        return f"{self.code.partition('_')[0]}/{self.code}/{self.speaker}/{self.quality}"

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return RATES[1] if self.quality in _LOW_RATE else RATES[0]


def language_tags(code: str) -> tuple[str, ...]:
    """Return BCP 47 tags for Piper's or espeak's code of a language, with its region and without: ``en_US``."""
    tag = code.strip().lower().replace("_", "-")
    return tuple(dict.fromkeys((tag, tag.partition("-")[0])))


def _names() -> list[str]:
    text = (Path(__file__).parent / "voices.txt").read_text(encoding="utf-8")
    names = text.split()
    names.remove(DEFAULT)
    return [DEFAULT, *names]


def _checkpoint(name: str) -> Checkpoint:
    parts = VoiceName(*name.split("-"))
    stem = f"{parts.folder}/{name}.onnx"
    return Checkpoint(
        name,
        source=HUB,
        licence=_LICENCES.get(name, ""),
        files=(stem, f"{stem}.json", (f"{parts.folder}/MODEL_CARD", None)),
        sample_rate=parts.sample_rate,
        languages=language_tags(parts.code),
    )


CHECKPOINTS = tuple(map(_checkpoint, _names()))
LANGUAGES = tuple(
    dict.fromkeys(
        (
            *(tag for each in CHECKPOINTS for tag in each.languages),
            *(tag for code in _MORE_LANGUAGES for tag in language_tags(code)),
        )
    )
)
