"""Marks of words, as plugins make them."""

from __future__ import annotations

import pytest

from realtts.contract.types import Mark
from realtts.kit.marks import bare_span, mark_within


@pytest.mark.parametrize(("seconds", "ends"), [(3.0, (1.0, 2.0)), (1.5, (1.0, 1.5)), (0.5, (0.5, 0.5)), (0, (0, 0))])
def test_no_mark_ends_behind_the_audio(seconds, ends) -> None:
    """Nor begins there."""
    mark = mark_within(Mark(1.0, 2.0, (3, 4)), seconds)
    assert (mark.start, mark.end, mark.span) == (*ends, (3, 4))


@pytest.mark.parametrize(
    ("word", "bare"),
    [("word", "word"), ("(word),", "word"), ("don't!", "don't"), ("\u2014", "\u2014"), ("«12»", "12"), ("a.b.", "a.b")],
)
def test_places_without_punctuation(word, bare) -> None:
    """Around it; a sign alone keeps its place."""
    text = f"so {word} it is"
    assert text[slice(*bare_span(text, (3, 3 + len(word))))] == bare
