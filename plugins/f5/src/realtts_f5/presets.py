"""The recordings that f5-tts brings, as built-in voices; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.contract.types import VoiceInfo

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint

__all__ = ["BUILTIN", "EXAMPLES", "voices_of"]

BUILTIN = "default"
"""Id of the voice that speaks where none is given."""

EXAMPLES = {
    BUILTIN: ("basic_ref_en.wav", "Some call me nature, others call me mother nature.", "en"),
    "chinese": ("basic_ref_zh.wav", "对，这就是我，万人敬仰的太乙真人。", "zh"),
}
"""Files of f5-tts, their words and languages."""


def voices_of(checkpoint: Checkpoint | None = None) -> list[VoiceInfo]:  # noqa: ARG001 - the same for every checkpoint
    """List them."""
    return [
        VoiceInfo(name, language=language, description=f"Recording that f5-tts brings as an example, {language}")
        for name, (_, _, language) in EXAMPLES.items()
    ]
