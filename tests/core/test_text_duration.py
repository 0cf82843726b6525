"""How long speech can last at most, by its text."""

import pytest

from realtts.text import most_seconds


def test_nothing_has_its_time_too():
    """A short text is never cut."""
    assert most_seconds("") == 2.5


@pytest.mark.parametrize(
    ("text", "language", "seconds"),
    [
        ("abcde", "en", 1.0),
        ("abcde", None, 1.0),
        ("abcde", "ko", 2.5),
        ("abcde", "zh-x-sichuan", 2.5),
        ("\u4f60" * 5, None, 2.5),
        ("\u4f60" * 5, "en", 1.0),
        ("\u4f60ab", None, 0.6),
        ("12%$\u20305", "en", 4.8),
        ("5" * 5, "zh", 4.0),
    ],
)
def test_each_letter_has_its_time(text, language, seconds):
    """More where a letter is a syllable, and most where it is read as words."""
    assert most_seconds(text, language) == pytest.approx(2.5 + seconds)
