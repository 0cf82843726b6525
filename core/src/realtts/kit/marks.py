"""Marks of words, for plugins that know how long each symbol lasts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.contract.types import Mark

__all__ = ["bare_span", "mark_within"]


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
