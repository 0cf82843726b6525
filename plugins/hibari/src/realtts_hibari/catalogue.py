"""The voices of hibari 0.2.1: each is a whole model of its own. Imports nothing heavy, because the spec reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from realtts.contract.spec import Checkpoint

if TYPE_CHECKING:
    from realtts.contract.types import VoiceInfo

__all__ = ["CHECKPOINTS", "VOICES", "HibariVoice", "voice_of", "voices_of"]

_HUB = "maureesewilliams/hibari"


class HibariVoice(NamedTuple):
    """A voice and the file that it is.

    Attributes:
        id: Name.
        kokoro: The voice of Kokoro-82M that it was distilled from; users may say it as well.
        gender: ``"male"`` or ``"female"``.
        british: Speaks British English, else American.
        file: Name in the hub's repository, or in the package's folder of the one that is there.
        size: Bytes.
        digest: SHA-256.
        bundled: Comes with the package hibari-tts.
    """

    id: str
    kokoro: str
    gender: str
    british: bool
    file: str
    size: int
    digest: str
    bundled: bool = False

    @property
    def language(self) -> str:
        """BCP 47 tag."""
        return "en-gb" if self.british else "en-us"

    def info(self) -> VoiceInfo:
        """Return the voice as users see it."""
        from realtts.contract.types import VoiceInfo

        return VoiceInfo(self.id, self.id.title(), self.language, self.gender, "", (self.kokoro,))


# fmt: off
VOICES = (
    HibariVoice("heart", "af_heart", "female", False, "hibari.onnx", 7936868,
                "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8", bundled=True),
    HibariVoice("fenrir", "am_fenrir", "male", False, "voices/am_fenrir_v2.int8.onnx", 8031158,
                "f59fbd87908c91f827bc21b1b89443757b9a8580db9eee20aa948deb731321f4"),
    HibariVoice("kore", "af_kore", "female", False, "voices/af_kore.int8.onnx", 7936868,
                "346885752673e45d42f9864c9e2432094bc4b6385df060d4b83273da764d2fa9"),
    HibariVoice("emma", "bf_emma", "female", True, "voices/bf_emma.int8.onnx", 7936868,
                "f709f0488ee63b583a22189a955aaf4257b9806dd330be3490661e53af0a89c1"),
    HibariVoice("fable", "bm_fable", "male", True, "voices/bm_fable.int8.onnx", 7936868,
                "c28529302f2d27cd12f62625c24425888c4e3c2675583100ec530259136b8bc6"),
)
# fmt: on

CHECKPOINTS = tuple(
    Checkpoint(
        voice.id,
        source="" if voice.bundled else _HUB,
        size_bytes=voice.size,
        licence="Apache-2.0",
        files=() if voice.bundled else (voice.file,),
    )
    for voice in VOICES
)


def voice_of(checkpoint: Checkpoint | None) -> HibariVoice | None:
    """Return the voice of a checkpoint; None for a folder, whose file tells."""
    name = VOICES[0].id if checkpoint is None else checkpoint.name
    return next((voice for voice in VOICES if voice.id == name), None)


def voices_of(checkpoint: Checkpoint | None) -> list[VoiceInfo] | None:
    """List the one voice of a checkpoint."""
    voice = voice_of(checkpoint)
    if voice is None or (checkpoint is not None and checkpoint.path is not None):
        return None
    return [voice.info()]
