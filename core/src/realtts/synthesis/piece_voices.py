"""Voices of pieces whose text chooses them: settled once the model is loaded and its voices are known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.text.sentence import primary_language

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Request, VoiceInfo
    from realtts.synthesis.rows import Row

__all__ = ["settle_voices"]


def settle_voices(
    rows: Sequence[Row], ids: Mapping[str, str], voices: Callable[[], Sequence[VoiceInfo]], spec: ProviderSpec
) -> None:
    """Give every row the voice that its text asks for.

    A built-in voice of another language gives way to a language that was chosen inside it. A gender chooses among the
    built-in voices where no voice was named.

    Args:
        rows: With the voices that callers and texts name.
        ids: The id of each name.
        voices: Lists the model's voices; called only where the choice depends on them.
        spec: Who speaks.
    """
    for row in rows:
        request = row.request
        if isinstance(request.voice, str) and ids.get(request.voice, request.voice) != request.voice:
            request = replace(request, voice=ids[request.voice])
        if row.piece.language_inside and isinstance(request.voice, str) and _is_foreign(request, voices()):
            request = replace(request, voice=None)
        if request.delivery.gender and request.voice is None and "gender" not in spec.capabilities:
            request = _gendered(row, request, voices())
        if request is not row.request:
            row.request = request


def _is_foreign(request: Request, voices: Sequence[VoiceInfo]) -> bool:
    """Tell whether the voice speaks one language, and that is not the request's."""
    spoken = next((voice.language for voice in voices if voice.id == request.voice), "")
    return bool(spoken and request.language) and primary_language(spoken) != primary_language(request.language)


def _gendered(row: Row, request: Request, voices: Sequence[VoiceInfo]) -> Request:
    gender, language = request.delivery.gender, request.language
    fitting = [
        voice
        for voice in voices
        if voice.gender == gender
        and not (voice.language and language and primary_language(voice.language) != primary_language(language))
    ]
    if not fitting:
        row.warnings.append(f"SSML: there is no {gender} voice for {row.shown}")
    return replace(request, voice=fitting[0].id) if fitting else request
