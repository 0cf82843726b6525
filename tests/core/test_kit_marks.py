"""Marks of words, as plugins make them."""

from __future__ import annotations

import pytest

from realtts.contract.types import Mark
from realtts.kit.marks import bare_span, joined_marks, mark_within


@pytest.mark.parametrize(
    ("spans", "joined"),
    [
        ([(0, 2), (3, 5)], [(0.0, 1.0, (0, 2)), (1.0, 2.0, (3, 5))]),
        ([(0, 4), (0, 4), (0, 4)], [(0.0, 3.0, (0, 4))]),
        ([(0, 4), (2, 6), (7, 9)], [(0.0, 2.0, (0, 6)), (2.0, 3.0, (7, 9))]),
        ([(0, 6), (2, 4)], [(0.0, 2.0, (0, 6))]),
        ([], []),
    ],
)
def test_words_of_one_stretch_are_one_mark(spans, joined) -> None:
    """From the first one's start to the last one's end."""
    marks = [Mark(float(at), at + 1.0, span) for at, span in enumerate(spans)]
    assert [(mark.start, mark.end, mark.span) for mark in joined_marks(iter(marks))] == joined


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
