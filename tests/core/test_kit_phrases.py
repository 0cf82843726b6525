"""Words are cut into what a graph takes and laid out as its symbols; silence at both ends is measured."""

import numpy as np
import pytest

from realtts.kit.phrases import SaidWord, cut_phrases, is_said, lay_out
from realtts.kit.silence import leading_silence, trailing_silence

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")


def said(text):
    """The words of a text, spoken as they are written."""
    words, at = [], 0
    for word in text.split():
        words.append(SaidWord((at, at + len(word)), word))
        at += len(word) + 1
    return words


@pytest.mark.parametrize(
    ("text", "most", "least", "parts"),
    [
        ("one two three", 50, None, ["one two three"]),
        ("one two three", 9, None, ["one two", "three"]),
        ("one, two three four", 14, None, ["one,", "two three", "four"]),
        ("one, two three; four", 16, None, ["one, two three;", "four"]),
        ("abcdefghij", 5, None, ["abcd", "efgh", "ij"]),
        ("a abcdefghij b", 5, None, ["a", "abcd", "efgh", "ij b"]),
        ("one, two; three four", 50, 4, ["one,", "two;", "three four"]),
        ("one, two; three four", 50, 6, ["one, two;", "three four"]),
        ("one, two,", 50, 100, ["one, two,"]),
        ("", 50, 4, []),
    ],
)
def test_cuts(text, most, least, parts):
    """Behind a clause where there is one, else between words, else inside a word."""
    cut = list(cut_phrases(said(text), most=most, ends=",;", least_clause=least))
    assert [" ".join(word.phonemes for word in part) for part in cut] == parts
    assert all(len(part) <= most for part in parts)


@pytest.mark.parametrize("first", [0, 1, 3])
@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("one two", ["one", "+two"]),
        ("one, ˈtwo.", ["one", "ˈtwo"]),
        ("“ˈone” twoː", ["ˈone", "twoː"]),
        ("one — two", ["one", "two"]),
        ("... one ˌtwo three!", ["one", "+ˌtwo", "+three"]),
        ("one ˈ two", ["one", "two"]),
    ],
)
def test_layout(text, heard, first):
    """Stress and length belong to a word, punctuation does not; ``+``: it follows on the word before."""
    symbols, words = lay_out(said(text), _LETTERS.__contains__, "“”,.—!", first=first)
    assert symbols == text
    assert ["+" * word.follows + symbols[word.first - first : word.last - first] for word in words] == heard
    assert all(
        text[slice(*word.span)].strip("“”,.!") == each.strip("+") for word, each in zip(words, heard, strict=True)
    )


@pytest.mark.parametrize(("word", "expected"), [("a", True), ("7,", True), ("日", True), ("—", False), ("", False)])
def test_what_should_be_heard(word, expected):
    """Letters and digits, not punctuation."""
    assert is_said(word) is expected


@pytest.mark.parametrize(("before", "behind", "keep"), [(0, 0, 5), (10, 20, 5), (4, 4, 5), (100, 0, 0), (0, 100, 30)])
def test_silence(before, behind, keep):
    """What is beyond the samples that stay is taken off; noise below -60 dB is silence."""
    sound = np.concatenate([np.full(before, 5e-4), [0.1, 0.0, -0.1], np.full(behind, -5e-4)]).astype(np.float32)
    assert leading_silence(sound, keep) == max(0, before - keep)
    assert trailing_silence(sound, keep) == max(0, behind - keep)


def test_nothing_but_silence():
    """All of it is at the end, and nothing at the beginning."""
    nothing = np.zeros(50, np.float32)
    assert (leading_silence(nothing, 10), trailing_silence(nothing, 10)) == (0, 40)
