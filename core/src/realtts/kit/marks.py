"""Marks of words, for plugins that know how long each symbol lasts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.contract.types import Mark

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["bare_span", "joined_marks", "mark_within"]


def joined_marks(marks: Iterable[Mark]) -> list[Mark]:
    """Return the marks of words in order, several that stand for one stretch of the text, such as a number, as one."""
    joined: list[Mark] = []
    for mark in marks:
        if joined and mark.span[0] < joined[-1].span[1]:
            before = joined.pop()
            joined.append(Mark(before.start, mark.end, (before.span[0], max(before.span[1], mark.span[1]))))
        else:
            joined.append(mark)
    return joined


def mark_within(mark: Mark, seconds: float) -> Mark:
    """Return a mark that ends with the audio at the latest.

    Args:
        mark: Of a word.
        seconds: Duration of the audio.
    """
    return replace(mark, start=min(mark.start, seconds), end=min(mark.end, seconds))


def bare_span(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """Return the place of a word without the punctuation around it, unless it is nothing else."""
    letters = [at for at in range(*span) if text[at].isalnum()]
    return (letters[0], letters[-1] + 1) if letters else span
