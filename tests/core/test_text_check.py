"""Texts that can be spoken and texts that cannot."""

from __future__ import annotations

import pytest

from realtts.errors import BlankText, InvalidText, TextTooLong, UnspeakableText
from realtts.text import check_text, is_speakable

SPEAKABLE = {
    "latin": "Hello.",
    "digit": "7",
    "chinese": "你好",
    "thai": "สวัสดี",
    "devanagari": "नमस्ते",
    "arabic": "مرحبا",
    "circled number": "①",
    "currency": "€",
    "plus": "+",
    "percent": "%",
    "emoji with a word": "😀 hi",
    "keycap": "1️⃣",
    "special token": "<|endoftext|>",
}

UNSPEAKABLE = {
    "emoji": "😀👍🏽",
    "flag": "🇫🇷",
    "dots": "...",
    "dashes": "— –",
    "arrow": "→",
    "drawn symbols": "~~~ | ^",
    "markdown rule": "***",
    "lone accent": "\u0301",
    "underscores": "___",
}

BLANK = {
    "empty": "",
    "spaces": " \t\r\n",
    "zero width": "\u200b\u200d\ufeff",
    "no-break space": "\xa0\u3000",
    "hangul filler": "\u3164",
    "blank braille": "\u2800",
    "control characters": "\x01\x07",
}


@pytest.mark.parametrize("text", SPEAKABLE.values(), ids=SPEAKABLE)
def test_speakable_text_comes_back_unchanged(text):
    """Anything with a letter, a number or a readable symbol passes, in any script."""
    assert is_speakable(text)
    assert check_text(text, max_chars=100, who="beep") is text


@pytest.mark.parametrize("text", UNSPEAKABLE.values(), ids=UNSPEAKABLE)
def test_text_without_anything_to_say_is_refused(text):
    """Emoji and punctuation alone have no sound."""
    assert not is_speakable(text)
    with pytest.raises(UnspeakableText, match="beep"):
        check_text(text, max_chars=100, who="beep")


@pytest.mark.parametrize("text", BLANK.values(), ids=BLANK)
def test_text_that_nobody_can_see_is_blank(text):
    """Invisible characters do not make a text."""
    with pytest.raises(BlankText):
        check_text(text, max_chars=100, who="beep")


@pytest.mark.parametrize("value", [None, 3, b"bytes", ["a"]], ids=["None", "int", "bytes", "list"])
def test_only_strings_are_text(value):
    """The message names the type that was passed."""
    with pytest.raises(InvalidText, match=type(value).__name__):
        check_text(value, max_chars=100, who="beep")


@pytest.mark.parametrize(
    ("text", "what"),
    [("ab\x00c", "NUL at character 2"), ("a\ud83d!", r"U\+D83D\) at character 1")],
    ids=["NUL", "lone surrogate"],
)
def test_characters_that_are_no_text_are_located(text, what):
    """The message says what and where."""
    with pytest.raises(InvalidText, match=what):
        check_text(text, max_chars=100, who="beep")


def test_the_limit_is_inclusive():
    """A text of exactly the limit passes, one character more does not."""
    assert check_text("a" * 10, max_chars=10, who="beep") == "a" * 10
    with pytest.raises(TextTooLong, match="11 characters, the limit is 10"):
        check_text("a" * 11, max_chars=10, who="beep")


def test_length_is_checked_before_contents():
    """A huge text is refused by its length alone, whatever is in it."""
    with pytest.raises(TextTooLong):
        check_text("\x00" * 10_000_000, max_chars=1000, who="beep")
