"""SSML in the forms that programs write: prefixes, declarations, byte-order marks, kinds of other dialects."""

from __future__ import annotations

import pytest

from realtts.text.ssml import read_ssml
from realtts.text.ssml_document import Pause, Run
from realtts.text.ssml_say_as import written_out

NAMESPACE = 'xmlns:s="http://www.w3.org/2001/10/synthesis"'


def spoken(text: str) -> str:
    """What is said of a text, with a bar for each pause, and the places of its characters."""
    document = written_out(read_ssml(text, who="test"), "en", spelling=False)
    said = document.edited.text
    parts = [
        said[i.start : i.end] if isinstance(i, Run) else "|" for i in document.items if isinstance(i, (Run, Pause))
    ]
    return "".join(parts).strip(" \n\ufeff")


@pytest.mark.parametrize(
    "text",
    [
        f'<s:speak {NAMESPACE}>one<s:break time="1s"/>two</s:speak>',
        '<speak>one<break time="1s"/>two</speak>',
        '\n  <?xml version="1.0"?>\n<speak>one<break time="1s"/>two</speak>',
        '\ufeff<?xml version="1.0" encoding="UTF-16"?><speak>one<break time="1s"/>two</speak>',
        '\ufeff<speak>one<break time="1s"/>two</speak>',
        '\ufeffone<break time="1s"/>two',
        f'<speak {NAMESPACE}>one<s:break time="1s"/>two</speak>',
    ],
)
def test_documents_may_begin_in_any_form(text) -> None:
    """And every character comes from its place in the caller's text."""
    assert spoken(text) == "one|two"
    edited = read_ssml(text, who="test").edited
    at = edited.text.index("two")
    start, end = edited.to_original((at, at + 3))
    assert text[start:end] == "two"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<say-as interpret-as="number" format="ordinal">3</say-as>', "3rd"),
        ('<say-as interpret-as="number" format="digits">42</say-as>', "4 2"),
        ('<say-as interpret-as="vxml:digits">42</say-as>', "4 2"),
        ('<say-as interpret-as="VXML:Digits">907</say-as>', "9 0 7"),
        ('<say-as interpret-as="date" format="dmy">30/11/26</say-as>', "November 30, 2026"),
        ('<say-as interpret-as="date" format="mdy">4/1/85</say-as>', "April 1, 1985"),
        ('<say-as interpret-as="date" format="ymd">991231</say-as>', "991231"),
    ],
)
def test_kinds_of_other_dialects(text, said) -> None:
    """Read as the usual ones; years of two digits are of this century or the last."""
    assert spoken(text) == said


def test_a_lexicon_is_named() -> None:
    """It is not read, which would go unnoticed otherwise."""
    wishes = read_ssml('<speak><lexicon uri="http://example.org/a.pls"/>Hello.</speak>', who="test").wishes
    assert [wish.what for wish in wishes] == ["lexicon"]
