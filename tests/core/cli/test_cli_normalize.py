"""``realtts say --normalize``: the option reaches the text, and is shown."""

from __future__ import annotations

import importlib.util

import pytest

installed = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("babel", "unicode_rbnf")), reason="of realtts[normalize]"
)


@installed
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("5 km", "-l", "en", "--normalize", "auto"), "normalize      five kilometers"),
        (("5 km", "-l", "de", "--normalize", "auto"), "piece 1        fünf Kilometer"),
        (("5 km", "-l", "en", "--normalize", "off"), "piece 1        5 km"),
        (("5 km", "-l", "en"), "piece 1        5 km"),
        (("１０ %", "-l", "en", "--normalize", "auto"), "piece 1        ten percent"),
    ],
)
def test_the_text_is_shown_in_words(cli, arguments, line) -> None:
    """As a step of its own, where it was asked for."""
    result = cli("say", *arguments, "-p", "fake", "--show-text")
    assert result.code == 0
    assert line in result.out


@installed
def test_it_is_spoken(cli, work) -> None:
    """Into the file: two words for one."""
    assert cli("say", "7", "-l", "en", "-p", "fake", "-o", "a.wav", "--normalize", "auto").code == 0
    assert cli("say", "27 km", "-l", "en", "-p", "fake", "-o", "b.wav", "--normalize", "auto").code == 0
    assert (work / "a.wav").stat().st_size < (work / "b.wav").stat().st_size


def test_other_values_are_refused(cli) -> None:
    """By name."""
    assert "--normalize" in cli("say", "Hello", "-p", "fake", "--normalize", "on").err
