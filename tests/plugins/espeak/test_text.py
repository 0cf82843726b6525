"""Texts in every form of Unicode: the same sound, marks in the caller's text, and a warning for what is not said."""

import unicodedata

import numpy as np
import pytest
from tiers import by_default

from realtts import RealProvider, UnspeakableText
from realtts.testing.texts import PLAIN, account_of, texts_of
from realtts_espeak import spec
from realtts_espeak.reading import unread_in


@pytest.fixture(scope="module")
def tts():
    """The whole path."""
    with RealProvider("espeak") as provider:
        yield provider


SPOKEN = sorted(language for language in PLAIN if language in spec.languages)


@pytest.mark.parametrize("language", SPOKEN)
def test_plain_sentences(tts, language):
    """Composed or not they sound alike, and there is nothing to warn of."""
    for text in PLAIN[language]:
        one, other = (tts.generate(unicodedata.normalize(form, text), language=language) for form in ("NFC", "NFD"))
        assert np.array_equal(one.samples, other.samples)
        assert one.warnings == other.warnings == ()
        assert unread_in(None, text, language) == []


@pytest.mark.parametrize(
    ("text", "plain", "language"),
    [
        ("価格は１００円です", "価格は100円です", "ja"),
        ("ＡＢＣ", "ABC", "en"),
        ("ⓗⓔⓛⓛⓞ", "hello", "en"),
        ("𝟏𝟐𝟑", "123", "fr"),
        ("XXᵉ siècle", "XXe siècle", "fr"),
        ("10\u202f000 €", "10 000 €", "fr"),
        ("10\u00a0000", "10 000", "sv"),
        ("20 ℃", "20 °C", "en"),
        ("au\u00adto\u200bma\u2060tisch", "automatisch", "de"),
        ("\u202bשלום\u202c", "שלום", "he"),
        ("ｶﾞﾗｽ", "ガラス", "ja"),
        ("well‑known", "well-known", "en"),
        ("I ❤\ufe0f you", "I ❤ you", "en"),
    ],
)
def test_forms_sound_alike(tts, text, plain, language):
    """Whatever they are written with."""
    assert np.array_equal(tts.generate(text, language=language).samples, tts.generate(plain, language=language).samples)


@pytest.mark.parametrize(
    "language", ["ar", "cs", "de", "en", "es", "fr", "hi", "id", "ja", "pl", "pt", "ru", "tr", "vi", "zh"]
)
def test_a_minus_is_said(tts, language):
    """Whichever of the two it is; a hyphen between words is none."""
    without = tts.generate("5", language=language).duration
    assert all(tts.generate(f"{minus}5", language=language).duration > without + 0.05 for minus in "-\u2212")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Cafe\u0301 so\u00adft １２", ["Cafe\u0301", "so\u00adft", "１２"]),
        ("ⓗⓔⓛⓛⓞ \u200bworld", ["ⓗⓔⓛⓛⓞ", "world"]),
        ("oﬃce 𝐁𝐨𝐥𝐝.", ["oﬃce", "𝐁𝐨𝐥𝐝"]),
        ("one\u00a0two\u2003three", ["one", "two", "three"]),
        ("ﬁve well‑known men", ["ﬁve", "well‑known", "men"]),
    ],
)
def test_marks_are_in_the_callers_text(tts, text, words):
    """Its own characters, not what became of them."""
    speech = tts.generate(text, language="en")
    assert [text[slice(*mark.span)] for mark in speech.marks] == words
    assert text[: len(text.split()[0])] in speech.srt()


@pytest.mark.parametrize(
    ("text", "unsaid"),
    [
        ("so\u00adft ᏣᎳᎩ one", "ᏣᎳᎩ"),
        ("one １２ \ue000 two", "\ue000"),
        ("Cafe\u0301 and ᏣᎳᎩ.", "ᏣᎳᎩ"),
        ("One sentence. And ᏣᎳᎩ in the next.", "ᏣᎳᎩ"),
        ("one two \uf8ff", "\uf8ff"),
    ],
)
def test_what_has_no_sound_is_named_with_its_place(tts, text, unsaid):
    """In the caller's text."""
    (warning,) = tts.generate(text, language="en").warnings
    assert f"{unsaid!r} at {text.index(unsaid)}" in warning.replace(f"{unsaid}.'", f"{unsaid}'")


@pytest.mark.parametrize("language", by_default({language: language for language in SPOKEN}, *list(SPOKEN)[::3]))
def test_every_character_is_accounted_for(language):
    """Said, silent by its class, or warned of."""
    for text in texts_of(language, 50):
        account = account_of(spec, None, text, language)
        assert not account.lost, (text, account.lost)


def test_a_text_without_a_sound_is_refused(tts):
    """Though it has letters."""
    with pytest.raises(UnspeakableText):
        tts.generate("ᏣᎳᎩ", language="en")
