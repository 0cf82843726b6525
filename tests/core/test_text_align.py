"""Spans of a rewritten text, mapped back to the text that the caller gave."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, strategies as st

from realtts.text import align


def sources(original, changed):
    """For every word of the changed text, what it came from."""
    back = align(original, changed)
    return [(word.group(), original[slice(*back(word.span()))]) for word in re.finditer(r"\S+", changed)]


def test_equal_texts_map_to_themselves():
    """Nothing was rewritten: every span stays."""
    assert align("one two", "one two")((2, 5)) == (2, 5)


def test_a_rewritten_word_maps_to_the_whole_stretch_that_it_replaced():
    """Both ways: one word for two, and two for one."""
    assert sources("Dr. Who has 5 cats.", "Doctor Who has five big cats.") == [
        ("Doctor", "Dr."),
        ("Who", "Who"),
        ("has", "has"),
        ("five", "5"),
        ("big", "5"),
        ("cats.", "cats."),
    ]


def test_a_part_of_a_copied_word_maps_to_that_part():
    """Copies are exact to the character."""
    back = align("one seven", "1 seven")
    assert back((3, 5)) == (5, 7)


def test_white_space_may_change():
    """Words are found again whatever stands between them."""
    assert sources("one\n\n two", "one two") == [("one", "one"), ("two", "two")]


def test_an_added_word_maps_to_an_empty_span_where_it_was_added():
    """At the beginning, in the middle, and at the end."""
    back = align("b d", "a b c d e")
    assert [back((at, at + 1)) for at in (0, 2, 4, 6, 8)] == [(0, 0), (0, 1), (1, 1), (2, 3), (3, 3)]


def test_white_space_maps_to_an_empty_span():
    """Between words, and before the first."""
    back = align("xone two", "  one two")
    assert back((0, 1)) == (0, 0)
    assert back((5, 6)) == (4, 4)


@pytest.mark.parametrize(("original", "changed"), [("", "new words"), ("old words", "")], ids=["added", "emptied"])
def test_empty_texts(original, changed):
    """A text that appeared or vanished maps to nothing."""
    assert align(original, changed)((0, len(changed))) == (0, 0)


@pytest.mark.parametrize("change", ["insert", "delete", "replace", "shuffle"])
def test_long_texts_find_back_after_a_large_change(change):
    """The windows of the comparison grow over a change of hundreds of words."""
    rng = random.Random(0)
    words = [f"w{rng.randrange(500)}" for _ in range(5000)]
    other = {
        "insert": words[:1000] + [f"new{n}" for n in range(700)] + words[1000:],
        "delete": words[:1000] + words[1700:],
        "replace": [f"new{n}" if n % 10 == 0 else word for n, word in enumerate(words)],
        "shuffle": [f"new{n}" for n in range(5000)],
    }[change]
    found = sources(" ".join(words), " ".join(other))
    right = sum(word == source for word, source in found)
    assert right == sum(not word.startswith("new") for word in other)


@given(st.text("ab. \n"), st.text("ab. \n"))
def test_every_span_maps_into_the_original_in_order(original, changed):
    """Whatever was changed: spans stay inside, start before they end, and do not go backwards."""
    back = align(original, changed)
    spans = [back(match.span()) for match in re.finditer(r"\S+", changed)]
    for start, end in spans:
        assert 0 <= start <= end <= len(original)
    assert spans == sorted(spans)
