"""Which voice and language a request means, and whether what reads that language is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from realtts.kit.languages import resolve_language
from realtts_kokoro.catalogue import LANGUAGES, VOICES, language_of, voice_info
from realtts_kokoro.files import files_at_hand
from realtts_kokoro.options import KokoroOptions
from realtts_kokoro.phonemizers import check_phonemizer
from realtts_kokoro.voices import Voices

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint
    from realtts.contract.types import Request
    from realtts_kokoro.catalogue import Language

__all__ = ["check_language", "check_request", "language_spoken"]


def language_spoken(language: str | None, voice: str) -> Language:
    """Return the language in which a text is read: that of the call, else that of the voice, a blend's first one."""
    spoken = voice_info(voice.partition(":")[0].partition(",")[0]).language or "en-us"
    return language_of(language or spoken)


def check_request(checkpoint: Checkpoint | None, request: Request) -> None:
    """Check that the weights are at hand or can be fetched, and that what reads the request's language is installed.

    None of it is imported.

    Raises:
        InvalidOption: The phonemizer that is asked for does not read it.
        MissingExtra: It is not installed.
        CheckpointError: A package or a file is missing, or the voices that are there cannot be listed.
    """
    files = files_at_hand(checkpoint)
    voice = request.voice if isinstance(request.voice, str) else ""
    if not voice and request.language is None:
        voice = Voices(dict.fromkeys(VOICES, Path()) if files is None else files.voices).default(None)
    check_phonemizer(language_spoken(request.language, voice), KokoroOptions.of(request).phonemizer)


def check_language(language: str | None) -> None:
    """Check that what reads the language of the settings is installed; imports none of it.

    Args:
        language: As a user has set it, for all providers; one that Kokoro does not speak is not in force here.

    Raises:
        MissingExtra: It is not installed.
    """
    tag = resolve_language(language, LANGUAGES) if language is not None else None
    if tag is not None:
        check_phonemizer(language_of(tag), None)
