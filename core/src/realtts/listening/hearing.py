"""Listening: audio in, an account of its words out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.errors import MissingExtra
from realtts.listening.account import WordAccount, account_of
from realtts.text.edited import EditedText
from realtts.text.normalize import guess_language, is_known, normalized

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from realtts.listening.heard import Heard, Recognizer

__all__ = ["Hearing", "listen"]


@dataclass(frozen=True)
class Hearing:
    """What was heard.

    Attributes:
        heard: The words with their times.
        account: Held against the text.
    """

    heard: Heard
    account: WordAccount


def listen(
    recognizer: Recognizer,
    samples: NDArray[np.float32],
    sample_rate: int,
    text: str,
    *,
    language: str | None = None,
    readings: Sequence[str] = (),
) -> Hearing:
    """Listen to speech, and hold its words against its text.

    A recognizer that gets caught in a loop is asked once more, carefully; what it repeats even then is not counted.

    Args:
        recognizer: Who hears.
        samples: float32 of shape (n,) in [-1, 1].
        sample_rate: Hz.
        text: What was to be said.
        language: BCP 47 tag; None: by the script of the text.
        readings: Other accepted readings. Without any, the text with its numbers in words is one, where
            ``realtts[normalize]`` is installed.

    Raises:
        MissingExtra: A library of ``realtts[listen]`` is not installed.
    """
    spoken = language or guess_language(text)
    readings = readings or _in_words(text, spoken)

    def hear(*, careful: bool) -> Hearing:
        heard = recognizer.hear(samples, sample_rate, spoken, careful=careful)
        return Hearing(heard, account_of(text, heard, spoken, readings))

    hearing = hear(careful=False)
    if not hearing.account.looped:
        return hearing
    again = hear(careful=True)
    return min(again, hearing, key=lambda each: (each.account.looped, each.account.rate))


def _in_words(text: str, language: str) -> tuple[str, ...]:
    if not is_known(language):
        return ()
    try:
        return (normalized(EditedText(text), language).text,)
    except MissingExtra:
        return ()
