"""What hibari reads: no number, sign or word is lost without a word, and what is not English is named."""

from __future__ import annotations

import pytest

from realtts import errors
from realtts.contract.spec import ProviderSpec
from realtts.kit.english import LETTERS, MARKS
from realtts.testing.numbers import number_sentences
from realtts.testing.texts import PLAIN, account_of, texts_of
from realtts.text import EditedText
from realtts.text.english_signs import in_words
from realtts_hibari import spec
from realtts_hibari.reading import read, unread_in
from realtts_hibari.testing import lost_digits


def words(text: str) -> list[str]:
    """The text that is left to pronounce, word by word."""
    return read(text).text.split()


@pytest.mark.parametrize("normalize", ["auto", "off"])
def test_no_number_is_lost(say, normalize) -> None:
    """Of sentences with numbers, signs and units; `benchmarks/hibari_numbers.py` takes more of them."""
    for text in number_sentences(50, seed=17):
        assert not lost_digits(text, say.model.phrases, normalize=normalize), text


@pytest.mark.parametrize("language", ["en", "fr", "vi", "de", "ru", "zh"])
def test_every_character_is_accounted_for(say, language) -> None:
    """Spoken, silent or named, whatever language a text is in; and what is to be spoken has a sound."""
    for text in texts_of(language, 15):
        try:
            assert not lost_digits(text, say.model.phrases), text
        except errors.UnspeakableText:
            assert language in {"ru", "zh"}


@pytest.mark.parametrize("text", [*PLAIN["en"], "Beyoncé's café was “naïve”, wasn’t it? (Yes – it was…)"])
def test_plain_english_has_no_warning(text) -> None:
    """Accents of words that English has taken over are read."""
    account = account_of(spec, spec.checkpoints[0], text, None)
    assert account is not None
    assert not account.unread


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-12", "minus twelve"),
        ("(-7.05)", "(minus seven point zero five)"),
        ("8071", "eight thousand seventy-one"),
        ("1984", "nineteen eighty-four"),
        ("2007", "two thousand seven"),
        ("1905", "nineteen oh five"),
        ("1800", "eighteen hundred"),
        ("12,345", "twelve thousand three hundred forty-five"),
        ("007", "zero zero seven"),
        ("0", "zero"),
        ("1234567890123456", "one two three four five six seven eight nine zero one two three four five six"),
        ("3.14", "three point one four"),
        (".5", "point five"),
        ("$14.50", "fourteen point five zero dollars"),
        ("٣٤", "thirty-four"),
        ("21st 12th 5th 1990s 60s", "twenty-first twelfth fifth nineteen nineties sixties"),
        ("x² ½", "x two one half"),
        ("B2B", "B two B"),
        ("a/b", "a slash b"),
        ("5%", "five percent"),
        ("C# & C+", "C hash and C plus"),
        ("snake_case", "snake case"),
        ("London–Paris", "London — Paris"),
        ("~ten", "about ten"),
        ("one -- two", "one — two"),
        ("a ≤ b", "a at most b"),
    ],
)
def test_numbers_and_signs_in_words(text, said) -> None:
    """Where the core's normalizer is off, or leaves something."""
    assert " ".join(in_words(EditedText(text)).text.split()) == said


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("Hello Привет", "Привет"),
        ("日本 is Japan", "日本"),
        ("Thumbs up 👍 now", "👍"),
        ("alpha α and β", "αβ"),
        ("שלום, hello", "שלום"),
    ],
)
def test_other_scripts_are_named(text, unread) -> None:
    """Each character with its place, and nothing of them reaches the lexicon."""
    named = unread_in(None, text, None)
    assert "".join(text[slice(*each.span)] for each in named) == unread
    assert not set(unread) & set(read(text).text)


@pytest.mark.parametrize("text", ["Tiếng Việt", "Łódź ẇ", "ạ b", "Ḧello", "ệ và"])
def test_letters_with_other_marks_are_read_without(text) -> None:
    """And named as that."""
    result = read(text)
    assert set(result.text) <= LETTERS | MARKS | {" ", "'", "-"}
    assert all(each.instead or not text[slice(*each.span)].isalpha() for each in result.unread)
    assert result.unread or set(text) <= LETTERS | {" "}


@pytest.mark.parametrize("text", ["日本語です", "Привет", "👍👍", "مرحبا", "…!?"])
def test_nothing_to_say(text) -> None:
    """A typed error before any work."""
    with pytest.raises(errors.UnspeakableText):
        read(text)


@pytest.mark.parametrize("language", ["vi", "de", "German", "zh", "fr-FR", "ja"])
def test_other_languages_are_refused_before_work(tts, language) -> None:
    """With English as what it speaks."""
    with pytest.raises(errors.UnknownLanguage) as caught:
        tts.generate("Xin chào", language=language)
    assert "en-us" in caught.value.fix


@pytest.mark.parametrize("language", ["en", "en-us", "English", "en-US", None])
def test_english_is_spoken(tts, language) -> None:
    """By any of its names."""
    assert tts.generate("Hi.", language=language, seed=1).duration > 0.2


@pytest.mark.parametrize(
    "word",
    [
        "supercalifragilisticexpialidocious" * 3,
        "xqzptk",
        "'",
        "O'Rourke's",
        "AAAAAAAA",
        "ß",
        "[word](/wɜɹd/)",
        "Æ",
        "brrr",
        "NASA's",
    ],
)
def test_odd_words_have_a_sound(say, word) -> None:
    """Long ones in parts; markup of upstream's is text; an apostrophe alone is silent."""
    phrases = list(say.model.phrases.of(read(f"say {word} now").text))
    assert not any(phrase.unread for phrase in phrases)
    spoken = [read(f"say {word} now").text[slice(*each.span)] for phrase in phrases for each in phrase.words]
    assert spoken[0] == "say"
    assert spoken[-1] == "now"
    assert len(spoken) > 2 or word == "'"


def test_long_sentences_are_cut(say) -> None:
    """Behind clauses where there are some; all words are in one of the parts, in order."""
    for text in (("and then we went on " * 80) + "home.", "over the hill, " * 60, "a" * 3000, "word " * 300):
        read_text = read(text).text
        phrases = list(say.model.phrases.of(read_text))
        assert len(phrases) > 1
        assert all(phrase.symbols.shape[1] <= 402 for phrase in phrases)
        spans = [word.span for phrase in phrases for word in phrase.words]
        assert spans == sorted(spans)
        assert {read_text[slice(*span)] for span in spans} == {part.strip(",.") for part in read_text.split()}


def test_the_core_normalizes_in_english(tts) -> None:
    """Though a word of the text is in another script, and without a word about the language."""
    speech = tts.generate("It was -12 degrees in 東京.", seed=1)
    assert [speech.text[slice(*mark.span)] for mark in speech.marks].count("-12") == 2  # minus, twelve
    assert len(speech.warnings) == 1
    assert "東京" in speech.warnings[0]


def test_marks_are_those_of_the_callers_text(tts) -> None:
    """Without the normalizer too, a number or sign of several words being one mark."""
    speech = tts.generate("Pay $12.50 & leave 8071 now", normalize="off", seed=1)
    assert [speech.text[slice(*mark.span)] for mark in speech.marks] == ["Pay", "$12.50", "&", "leave", "8071", "now"]


def test_spec_is_light() -> None:
    """Listing the providers costs neither numpy nor pydantic nor ONNX Runtime; nothing needs torch or espeak."""
    import subprocess
    import sys

    heavy = ("numpy", "pydantic", "onnxruntime", "hibari", "torch", "realtts_espeak")
    code = f"import sys, realtts_hibari; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
    assert isinstance(spec, ProviderSpec)
