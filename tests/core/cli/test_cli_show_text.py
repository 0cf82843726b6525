"""``realtts say --show-text``: what becomes of a text, without a model."""

import pytest


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Ｈello １０", ["compatibility  Hello 10", "piece 1        Hello 10"]),
        ("so\u00adft", ["text           so<U+00AD>ft", "invisible      soft"]),
        ("cafe\u0301", ["composition    café"]),
        ("10\u00a0000", ["spaces         10 000"]),
        ("−5, “ok”", ["signs          -5, “ok”", "silent         - , “ ”"]),
        ("plain", ["text           plain\npiece 1        plain\n"]),
    ],
)
def test_steps(cli, work, text, lines):
    """Those that change something, and the pieces; nothing is written."""
    result = cli("say", text, "-p", "fake", "--show-text")
    assert result.code == 0
    assert all(line in result.out for line in lines), result.out
    assert list(work.glob("*.wav")) == []


def test_files_and_markup(cli, work):
    """Files are shown as a whole, SSML in its pieces with their pauses; a text that is refused is refused."""
    (work / "a.txt").write_text("One sentence hère. " * 400, encoding="utf-8")
    assert cli("say", "-f", "a.txt", "-p", "fake", "--show-text").out.count("hère") == 800
    ssml = '<speak>one<break time="500ms"/>two</speak>'
    result = cli("say", ssml, "-p", "fake", "-O", "ssml=true", "--show-text")
    assert "piece 1        one  (pause 0.5 s)" in result.out
    assert "piece 2        two" in result.out
    assert cli("say", "…", "-p", "fake", "--show-text").code != 0


def test_what_only_the_model_knows(cli):
    """Is said to be known when it speaks."""
    assert "known when it speaks" in cli("say", "Hello", "-p", "fake", "--show-text").err


def test_what_cannot_be_said(cli):
    """Is named, with its place, where the provider tells without a model."""
    pytest.importorskip("realtts_espeak")
    result = cli("say", "Hello ᏣᎳᎩ there", "-p", "espeak", "--show-text")
    assert "warning: espeak has no sound for 'ᏣᎳᎩ' at 6: left out" in result.err
