"""Texts that were rewritten step by step still tell where each character came from."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from realtts.text import EditedText


def test_copied_characters_map_to_their_own_place() -> None:
    """What stands before and behind a replacement maps character by character."""
    edited = EditedText("10 km to go").replaced([(3, 5, "kilometres")])
    assert edited.text == "10 kilometres to go"
    assert [edited.to_original((at, at + 1)) for at in (0, 1, 2)] == [(0, 1), (1, 2), (2, 3)]
    assert edited.to_original((14, 16)) == (6, 8)


@pytest.mark.parametrize("span", [(3, 13), (3, 4), (7, 9), (12, 13)])
def test_any_part_of_a_replacement_maps_to_all_that_it_stands_for(span: tuple[int, int]) -> None:
    """A word that was put in has no letters in the original: all of it stands for the stretch."""
    assert EditedText("10 km to go").replaced([(3, 5, "kilometres")]).to_original(span) == (3, 5)


def test_edits_of_edited_text_lead_to_the_original() -> None:
    """A second step sees the first one's text, and spans still lead to the caller's."""
    first = EditedText("Ab 5\u202f000 €").substituted(re.compile("\u202f"), "")
    second = first.substituted(re.compile(r"(\d+) €"), r"\1 euros")
    assert second.text == "Ab 5000 euros"
    assert second.to_original((3, 13)) == (3, 10)
    assert second.substituted(re.compile("euros"), "EUR").to_original((0, 2)) == (0, 2)


def test_text_may_vanish() -> None:
    """A text of which nothing is left maps to its end, and an empty span to an empty one."""
    gone = EditedText("\u200b\u200b").replaced([(0, 2, "")])
    assert gone.text == ""
    assert gone.to_original((0, 0)) == (2, 2)


@pytest.mark.parametrize("edits", [[(2, 1, "x")], [(3, 4, "x"), (0, 1, "y")], [(0, 99, "x")], [(-1, 2, "x")]])
def test_edits_that_cannot_be_are_refused(edits: list[tuple[int, int, str]]) -> None:
    """Order and range are checked, since a silent mistake would shift every caption."""
    with pytest.raises(ValueError, match="edit of"):
        EditedText("abcd").replaced(edits)


@given(st.text("ab 1", max_size=30), st.data())
def test_every_copied_character_equals_its_source(original: str, data: st.DataObject) -> None:
    """After any steps, a span of one character is either equal to its source or part of a replacement."""
    edited = EditedText(original)
    for _ in range(data.draw(st.integers(1, 3))):
        ends = sorted(data.draw(st.lists(st.integers(0, len(edited.text)), max_size=6)))
        pairs = zip(ends[::2], ends[1::2], strict=False)
        edited = edited.replaced([(start, end, data.draw(st.sampled_from(["", "X", "YZ"]))) for start, end in pairs])
    previous = 0
    for at, char in enumerate(edited.text):
        start, end = edited.to_original((at, at + 1))
        assert previous <= start <= end <= len(original)
        previous = start
        if char not in "XYZ":
            assert original[start:end] == char


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a 5 b", [("5", "five")]),
        ("a 5 b", [("5", "five"), ("five b", "FIVE-B")]),
        ("abc", [("b", "")]),
        ("abc", [("a", ""), ("c", "")]),
        ("abc", [("abc", "")]),
        ("aXbXc", [("X", "--"), ("-b-", "+")]),
        ("abc", [("b", "bb"), ("bb", "b")]),
        ("one two", [(" ", "  "), ("one", "1"), ("two", "2 2")]),
        ("", [("x", "y")]),
    ],
)
def test_edits_in_one_step(text, steps) -> None:
    """Many steps as one: the same text, and no character comes from elsewhere."""
    many = EditedText(text)
    for old, new in steps:
        many = many.substituted(re.compile(re.escape(old)), new.replace("\\", r"\\"))
    once = EditedText(text).replaced(many.edits())
    assert once.text == many.text
    for at in range(len(many.text)):
        start, end = many.to_original((at, at + 1))
        first, last = once.to_original((at, at + 1))
        assert first <= start <= end <= last
