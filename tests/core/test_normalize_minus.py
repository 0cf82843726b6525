"""A minus before a number is read in every form of the number, and no dash becomes one."""

from __future__ import annotations

import importlib.util

import pytest

from realtts.text.edited import EditedText
from realtts.text.frontend import prepare, steps_without
from realtts.text.normalize import normalized

pytestmark = pytest.mark.skipif(importlib.util.find_spec("unicode_rbnf") is None, reason="of realtts[normalize]")


def read(text: str, language: str = "en") -> str:
    """The text behind the front end, in words."""
    return normalized(prepare(EditedText(text), language, steps_without()).edited, language).text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-.5", "minus point five"),
        ("(\u2212.25)", "(minus point two five)"),
        ("x = -.5", "x equals minus point five"),
        ("-\u00bd", "minus one half"),
        ("\u2013\u00bc cup", "minus one quarter cup"),
        ("-2\u00bd", "minus two and a half"),
        ("-3/4 inch", "minus three quarters inch"),
        ("from -1/2 to 1/2", "from minus one half to one half"),
        ("-1e5", "minus one times ten to the power of five"),
        ("-1.5e-3", "minus one point five times ten to the power of minus three"),
        ("\u207b5", "minus five"),
        ("\u208b7 now", "minus seven now"),
        ("\u27965", "minus five"),
    ],
)
def test_a_minus_is_read_in_every_form_of_a_number(text, words) -> None:
    """Fractions, powers of ten, without a zero, and with the minus of other heights."""
    assert read(text) == words


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("-\u00bd", "de", "minus ein halb"),
        ("-1/2", "fr", "moins un demi"),
        ("-.5", "es", "menos "),
        ("-,5 Grad", "de", "minus "),
        ("-\u00bd", "sv", "minus "),
    ],
)
def test_a_minus_of_another_language(text, language, words) -> None:
    """By its own word."""
    assert read(text, language).startswith(words)


@pytest.mark.parametrize("text", ["a-.5", "well-1/2 done", "1 - .5", "2-1/2", "pages 3/4-5/6", "- .5", "re-\u00bd"])
def test_a_dash_stays_one(text) -> None:
    """Behind a word or a number, or with a space behind it."""
    assert "minus" not in read(text)
