"""Loops: a recognizer that writes one phrase again and again, which was not said so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["without_loops"]

LONGEST_PHRASE = 12
"""Words of a phrase that may be repeated."""

LEAST_WORDS = 6
"""Words of a run of repeats, below which it may well have been said."""


def without_loops(heard: Sequence[str], said: Sequence[str]) -> list[int]:
    """Return the places of the heard words without the repeats of loops.

    A phrase counts as a loop where it follows itself at least twice, in six words or more, and more often than in any
    run of the text that was to be said; as many repeats are left as the text has, at least one.

    Args:
        heard: Normalized.
        said: The text's, normalized.
    """
    left: list[int] = []
    at = 0
    while at < len(heard):
        length, count = _run_at(heard, at)
        usual = _longest_run(said, heard[at : at + length]) if count > 1 else 1
        if count >= 3 and count * length >= LEAST_WORDS and count > max(1, usual):
            left += range(at, at + length * max(1, usual))
            at += length * count
        else:
            left.append(at)
            at += 1
    return left


def _run_at(words: Sequence[str], at: int) -> tuple[int, int]:
    """Return the length of the phrase that is repeated from a place on, and how often it stands there; most words."""
    best = (1, 1)
    for length in range(1, min(LONGEST_PHRASE, (len(words) - at) // 2) + 1):
        phrase, count = list(words[at : at + length]), 1
        while list(words[at + count * length : at + (count + 1) * length]) == phrase:
            count += 1
        if count >= 3 and count * length > best[0] * best[1]:
            best = (length, count)
    return best


def _longest_run(words: Sequence[str], phrase: Sequence[str]) -> int:
    """Return how often a phrase follows itself in a text at most; 0: it is not in it."""
    length, most = len(phrase), 0
    for at in range(len(words) - length + 1):
        count = 0
        while list(words[at + count * length : at + (count + 1) * length]) == list(phrase):
            count += 1
        most = max(most, count)
    return most
