"""The words of a recording of which a part is used: seconds and words are cut together."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Excerpt", "excerpt"]

_SENTENCE_END = ".!?\u2026\u3002\uff01\uff1f\u0964\u0965\u06d4\u061f\u1362\u17d4\u104b"
_CLAUSE_END = ",;:\u2014\u2013\uff0c\uff1b\uff1a\u3001\u060c\u061b\u1363\u1364\u104a"
_CLOSING = "\"')]}\u00bb\u201d\u2019\u300d\u300f\uff09"

_COST_OF_WORD, _COST_OF_CLAUSE = 0.5, 0.15
"""Seconds by which a pause may lie further from a full stop than from the end of any other word, or of a clause."""

_COST_OF_SHORTNESS = 0.05
_WORTH_OF_PAUSE = 0.4
"""Seconds that a second less of the recording counts, and a second more of the pause at which it is cut."""

_LONGEST_PAUSE_S = 1.0

_JOINED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
"""Thai, Lao, Burmese and Khmer, whose words stand without spaces."""

_JOINED_START = re.compile(r"[\u0e01-\u0e2e\u0e40-\u0e44\u0e81-\u0eae\u0ec0-\u0ec4\u1000-\u102a\u1780-\u17b3]")
"""Their consonants and the vowels that are written before one, with which a syllable can begin."""

_JOINED_OPEN = re.compile(r"[\u0e40-\u0e44\u0ec0-\u0ec4\u1039\u17d2]")
"""What belongs to the consonant behind it."""


@dataclass(frozen=True)
class Excerpt:
    """The beginning of a recording, and of its words.

    Attributes:
        seconds: Of the recording.
        words: Said in them.
        left_out: Number of words behind them; of characters where the script has no spaces.
    """

    seconds: float
    words: str
    left_out: int


def excerpt(
    words: str, pauses: Sequence[tuple[float, float]], *, duration: float, least: float, most: float, otherwise: float
) -> Excerpt:
    """Choose how many seconds of a recording are used, and the words that are said in them.

    It is cut at a pause, and the words at the end of the word, clause or sentence that belongs there: all that is said
    takes time in proportion to its length, and pauses stand where sentences and clauses end.

    Args:
        words: Of the whole recording.
        pauses: Of the whole recording, in seconds, in order; the edges' included.
        duration: Seconds of the whole recording.
        least: Fewest seconds, if there is a pause behind them.
        most: Most seconds.
        otherwise: Where to cut if there is no pause between them.
    """
    ends = _word_ends(words)
    total = max(1e-6, _spoken(duration, pauses))
    places = [
        (min((a + b) / 2, most), b - a) for a, b in pauses if 0 < a <= most and least <= (a + b) / 2 and b < duration
    ]
    choices = [
        (_cost(words, end, share * total - _spoken(at, pauses), most - at, pause), at, end, number)
        for at, pause in places or [(otherwise, 0.0)]
        for number, (end, share) in enumerate(ends, 1)
    ]
    _, seconds, end, number = min(choices)
    return Excerpt(seconds, words[:end].rstrip(), len(ends) - number)


def _cost(words: str, end: int, apart: float, unused: float, pause: float) -> float:
    """Return how badly a place of the recording and an end of a word go together, in seconds."""
    before = words[:end].rstrip().rstrip(_CLOSING)[-1:]
    border = 0.0 if before in _SENTENCE_END else _COST_OF_CLAUSE if before in _CLAUSE_END else _COST_OF_WORD
    return abs(apart) + border + _COST_OF_SHORTNESS * unused - _WORTH_OF_PAUSE * min(pause, _LONGEST_PAUSE_S)


def _spoken(until: float, pauses: Sequence[tuple[float, float]]) -> float:
    """Return the seconds before a time in which somebody speaks."""
    return until - sum(min(end, until) - start for start, end in pauses if start < until)


def _word_ends(words: str) -> list[tuple[int, float]]:
    """Return where words end, or characters of scripts without spaces, and the share of the speech up to there."""
    weights = [_weight(character) for character in words]
    total, before, ends = max(1e-6, sum(weights)), 0.0, []
    for at, weight in enumerate(weights, 1):
        before += weight
        if at == len(words) or _is_border(words, at):
            ends.append((at, before / total))
    return ends


def _is_border(words: str, at: int) -> bool:
    """Tell whether a word ends in front of this character."""
    if words[at].isspace() or not words[:at].strip():
        return bool(words[:at].strip()) and not words[at - 1].isspace()
    if _JOINED.match(words[at]):
        return _JOINED_START.match(words[at]) is not None and _JOINED_OPEN.match(words[at - 1]) is None
    return _is_dense(words[at]) and (_is_dense(words[at - 1]) or words[at - 1] in _SENTENCE_END + _CLAUSE_END)


def _is_dense(character: str) -> bool:
    """Tell whether it is a Chinese character or one of kana, between which there are no spaces."""
    return re.match(r"[\u3041-\u30fa\u3400-\u9fff\U00020000-\U0003ffff]", character) is not None


def _weight(character: str) -> float:
    """Return about how long a character is spoken: a letter counts 1."""
    category = unicodedata.category(character)
    if category in {"Nd", "Sc"} or character in "%\u2030&@":
        return 4.0  # read as a word
    if category[0] != "L" and category != "Mc":
        return 0.0
    if "\uac00" <= character <= "\ud7a3" or "\u3041" <= character <= "\u30fa":
        return 2.2
    return 3.3 if _is_dense(character) else 1.0
