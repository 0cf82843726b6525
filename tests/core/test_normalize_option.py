"""The option ``normalize``: of the call, of the settings, of the provider; and what is told of it."""

from __future__ import annotations

import importlib

import pytest

from realtts import RealProvider
from realtts.errors import InvalidOption, InvalidPlugin, MissingExtra, SettingsError
from realtts.registry.extensions import Extensions
from realtts.settings import Settings
from realtts.synthesis.plan import Ask, make_plan
from realtts.testing import fake_spec

TEXT = "It costs $5."
WORDS = "It costs five dollars."

installed = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("babel", "unicode_rbnf")), reason="of realtts[normalize]"
)


def planned(text=TEXT, *, normalize=None, language="en", options=None, settings=None, provider="off", **changes):
    """The plan of a call."""
    ask = Ask(None, language, 1, 1.0, options or {}, normalize)
    return make_plan(
        text,
        ask,
        spec=fake_spec(normalize=provider, **changes),
        settings=Settings(**(settings or {})),
        extensions=Extensions(),
    )


def text_of(plan):
    """What the provider gets."""
    return "".join(piece.request.text for piece in plan.pieces)


@installed
@pytest.mark.parametrize(
    ("call", "setting", "provider", "text"),
    [
        (None, None, "off", TEXT),
        ("auto", None, "off", WORDS),
        (None, "auto", "off", WORDS),
        ("off", "auto", "off", TEXT),
        (None, None, "auto", WORDS),
        ("off", None, "auto", TEXT),
        (None, "off", "auto", TEXT),
        ("auto", "auto", "own", TEXT),
        (None, None, "own", TEXT),
    ],
)
def test_the_call_comes_before_the_setting_and_the_provider(call, setting, provider, text) -> None:
    """And a provider that reads numbers itself is left alone."""
    assert text_of(planned(normalize=call, settings={"normalize": setting}, provider=provider)) == text


@installed
def test_marks_point_into_the_callers_text() -> None:
    """Behind the words that the provider spoke."""
    with RealProvider(fake_spec()) as tts:
        speech = tts.generate("Now 5 km to go", language="en", seed=1, normalize="auto")
    assert [speech.text[slice(*mark.span)] for mark in speech.marks] == ["Now", "5 km", "5 km", "to", "go"]
    assert not speech.warnings


@installed
def test_every_way_to_speak_takes_it() -> None:
    """Whole, streamed and in a batch: three words become five."""
    with RealProvider(fake_spec(), normalize="auto") as tts:
        marks = len(tts.generate("5 km here", language="en").marks)
        chunks = list(tts.stream("5 km here", language="en", normalize="auto"))
        (one,) = tts.generate_batch(["5 km here"], language="en", normalize="off")
    assert marks == sum(len(chunk.marks) for chunk in chunks) == 3
    assert len(one.marks) == 3
    assert one.marks[0].span == (0, 1)


@installed
def test_the_step_is_shown() -> None:
    """Behind those of the front end."""
    plan = planned("１０ km", normalize="auto")
    assert [(change.step, change.text) for change in plan.changes][-1] == ("normalize", "ten kilometers")
    assert plan.to_original((0, 3)) == (0, 5)


@installed
def test_markup_is_normalized_in_its_own_language() -> None:
    """Stretch by stretch."""
    plan = planned('<speak>5 km <lang xml:lang="de">5 km</lang></speak>', normalize="auto", options={"ssml": True})
    assert "five kilometers" in text_of(plan)
    assert "fünf Kilometer" in text_of(plan)


@installed
@pytest.mark.parametrize(
    ("text", "language", "languages", "words", "told"),
    [
        ("5 km", None, ("en", "de"), "five kilometers", True),
        ("5 km", None, ("de",), "fünf Kilometer", False),
        ("5 km", None, ("zh", "en"), "five kilometers", True),
        ("还有 5 km", None, ("en", "zh"), "还有 五公里", True),
        ("5 km", "de", ("en", "de"), "fünf Kilometer", False),
        ("five", None, ("en", "de"), "five", False),
        ("5 km", "xx", ("xx",), "5 km", True),
        ("5 км", None, (), "пять километров", True),
    ],
)
def test_a_guessed_or_unknown_language_is_told(text, language, languages, words, told) -> None:
    """Where it made a difference."""
    plan = planned(text, normalize="auto", language=language, languages=languages)
    assert text_of(plan) == words
    assert bool(plan.warnings) == told


def test_without_the_libraries_it_is_an_error_where_it_was_asked_for(monkeypatch) -> None:
    """And a warning where the provider would have it so."""
    monkeypatch.setattr(importlib, "import_module", _missing(importlib.import_module))
    with pytest.raises(MissingExtra, match=r"realtts\[normalize\]"):
        planned(normalize="auto")
    with pytest.raises(MissingExtra, match=r"realtts\[normalize\]"):
        planned(settings={"normalize": "auto"})
    plan = planned(provider="auto")
    assert text_of(plan) == TEXT
    assert "realtts[normalize]" in plan.warnings[0]
    assert not planned().warnings


@pytest.mark.parametrize("wrong", ["on", True, 1, "AUTO", "", ["auto"], 0.5, {}])
def test_other_values_are_refused(wrong) -> None:
    """Of the call, the settings and the spec."""
    with pytest.raises(InvalidOption, match="normalize"):
        planned(normalize=wrong)
    with pytest.raises(SettingsError, match="normalize"):
        Settings(normalize=wrong)
    with pytest.raises(InvalidPlugin, match="normalize"):
        fake_spec(normalize=wrong)


def _missing(real):
    def import_module(name, package=None):
        if name.partition(".")[0] in {"babel", "unicode_rbnf"}:
            raise ImportError(name)
        return real(name, package)

    return import_module
