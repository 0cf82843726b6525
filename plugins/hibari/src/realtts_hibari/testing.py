"""For tests and benchmarks: the account of what becomes of a text."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from realtts.testing.texts import account_of
from realtts_hibari import spec
from realtts_hibari.reading import read

if TYPE_CHECKING:
    from realtts_hibari.phrases import Phrases

__all__ = ["load_phrases", "lost_digits"]


def load_phrases() -> Phrases:
    """Load what reads texts in American English, without the graph of a voice."""
    from realtts.kit.english import Pronunciation
    from realtts_hibari.phrases import Phrases

    context: Any = SimpleNamespace(spec=spec, settings=SimpleNamespace(threads=1), rung=None)
    return Phrases(Pronunciation(context, british=False))


def lost_digits(text: str, phrases: Phrases, *, normalize: str = "auto") -> list[str]:
    """Return the characters of a text that are neither in a word with a sound, nor silent, nor named as unread.

    Args:
        text: As a caller gives it; it passes the core's front end.
        phrases: Of a loaded model.
        normalize: ``"auto"`` or ``"off"``, as of a call.
    """
    account = account_of(replace(spec, normalize=normalize), spec.checkpoints[0], text, None)
    if account is None:
        return list(text)
    lost = [text[at] for at in account.lost]
    for given in account.given:
        reading = read(given)
        spoken = {at for phrase in phrases.of(reading.text) for word in phrase.words for at in range(*word.span)}
        lost += [char for at, char in enumerate(reading.text) if char.isalnum() and at not in spoken]
    return lost
