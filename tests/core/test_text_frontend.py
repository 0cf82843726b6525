"""The text front end: one form of every character for every provider, each with its place in the caller's text."""

import unicodedata

import pytest

from realtts import InvalidPlugin, ProviderSpec, RealProvider
from realtts.contract.spec import TEXT_STEPS
from realtts.testing import fake_spec
from realtts.testing.texts import PLAIN
from realtts.text import EditedText
from realtts.text.frontend import prepare, steps_without
from realtts.wire.specs import spec_from_json, spec_to_json


def prepared(text, *declined):
    """The text behind the front end."""
    return prepare(EditedText(text), None, steps_without(declined)).edited.text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("価格は１００円です", "価格は100円です"),
        ("￥１，０００．５０ １２：３０", "¥1,000.50 12:30"),
        ("あ，い：う。（え）！", "あ，い：う。（え）！"),
        ("ＡＢＣ ａｔ ５０％", "ABC at 50%"),
        ("𝖁𝕰𝕹𝖀𝕾 𝟏𝟐𝟑 𝓱𝓲", "VENUS 123 hi"),
        ("ⓗⓔⓛⓛⓞ 🅷🅸 🅐", "hello HI A"),
        ("①, ②, ③ ❹ ⓫ ㊿", "1, 2, 3 4 11 50"),
        ("①② fact①x", "1 2 fact 1 x"),
        ("1️⃣2️⃣ #️⃣", "1 2 #"),
        ("oﬃce ﬁn ĳs ǆ", "office fin ijs dž"),
        ("Ⅻ ⅳ", "XII iv"),
        ("５㎏ 3㎡ ㎧ ㏂ ㍿", "5kg 3m² m/s a.m. 株式会社"),
        ("㋀ ㏠ ㍘ ㊗ ㈱", "1月 1日 0点 祝 (株)"),
        ("20 ℃ 70 ℉", "20 °C 70 °F"),
        ("1ˢᵗ XXᵉ Mᵐᵉ nᵒ", "1st XXe Mme no"),
        ("H₂O CO₂ log₂8", "H2O CO2 log2 8"),
        ("h̶e̶l̶l̶o̶ w̲o̲r̲d̲", "hello word"),
        ("ｶﾞﾗｽ ﾊﾟﾝ", "ガラス パン"),
        ("ﷺ ﻻ", "صلى الله عليه وسلم لا"),
        ("⼀ ⼈", "一 人"),
        ("⑴ ⒈ ⒜", "(1) 1. (a)"),
    ],
)
def test_other_forms_of_letters_and_digits(text, plain):
    """Become the plain ones; numbers in frames stay apart."""
    assert prepared(text) == plain


@pytest.mark.parametrize(
    "text",
    [
        "m² x³ 10⁻⁴ 2ⁿ",
        "½ 1¾",
        "™ © ®",
        "ㅋㅋㅋ",
        "กำ ນ້ຳ ໜ",
        "և",
        "10 µm",
        "№ 5",
        "1º 2ª",
        "wait…",
        "℮ ∬ ℵ",
        "5′ 7″",
        "🆗 🈚",
    ],
)
def test_what_is_read_otherwise_than_its_plain_form_stays(text):
    """NFKC would change each of them, or a reader would miss it."""
    assert prepared(text) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a\u200bb so\u00adft \ufeffx", "ab soft x"),
        ("\u202eabc\u202c \u200fשלום\u200e", "abc שלום"),
        ("non\u2060breaking auf\u200clage", "nonbreaking auflage"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष ന്\u200d ක්\u200dය", "क्\u200dष ന്\u200d ක්\u200dය"),
        ("สวัสดี\u200bครับ", "สวัสดี\u200bครับ"),
        ("日\u200b本", "日本"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥", "👨\u200d👩\u200d👧 ❤\u200d🔥"),
        ("🏴\U000e0067\U000e0062\U000e007f x\U000e0041y", "🏴\U000e0067\U000e0062\U000e007f xy"),
        ("\x1b[31mred\x1b[0m\x07", "red"),
        ("葛\U000e0100 ☎\ufe0e", "葛 ☎"),
    ],
)
def test_invisible_characters(text, plain):
    """Go, save joiners and bounds of words where the script needs them."""
    assert prepared(text) == plain


@pytest.mark.parametrize("language", sorted(PLAIN))
def test_plain_sentences(language):
    """In their composed form they pass as they are, and the decomposed one becomes it."""
    for text in PLAIN[language]:
        composed = unicodedata.normalize("NFC", text).replace("\u00a0", " ")
        assert prepared(composed) == composed
        assert prepared(unicodedata.normalize("NFD", text)) == composed


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("10\u00a0000 10\u202f000 10\u2009000", "10 000 10 000 10 000"),
        ("a\u3000b\u2003c\u1680d\u205fe", "a b c d e"),
        ("one\u2028two\u0085three", "one\ntwo\nthree"),
        ("one\u2029two", "one\n\ntwo"),
        ("−5 °C (−3) −€5 −.5", "-5 °C (-3) -€5 -.5"),
        ("5 − 3 a−b 5−3", "5 − 3 a−b 5−3"),
        ("–5 °C, 3–5, from 3 –5, a – b", "-5 °C, 3–5, from 3 –5, a – b"),
        ("well‑known well‐known 555‒1234", "well-known well-known 555-1234"),
        ("― ⸺", "— —"),
        ("don´t don`t `x`", "don't don't `x`"),
        ("3 ∶ 1 a∕b 1⁄2", "3:1 a/b 1⁄2"),
    ],
)
def test_spaces_and_signs(text, plain):
    """Become the usual ones; a minus between two terms stays one."""
    assert prepared(text) == plain


def test_steps_are_those_that_are_documented():
    """By name, in order, and one that changes nothing is not told."""
    assert [step.name for step in steps_without()] == list(TEXT_STEPS)
    changes = prepare(EditedText("e\u0301\u00ad １"), None, steps_without()).changes
    assert [(change.step, change.text) for change in changes] == [
        ("compatibility", "e\u0301\u00ad 1"),
        ("invisible", "e\u0301 1"),
        ("composition", "é 1"),
    ]
    text = EditedText("Nothing to do here, 5 m².")
    assert prepare(text, "en", steps_without()).edited is text


def test_a_provider_declines_steps():
    """In its spec, which carries them over the wire; other names are refused."""
    spec = fake_spec(declined_text_steps=["composition", "signs"])
    assert isinstance(spec, ProviderSpec)
    assert spec.declined_text_steps == ("composition", "signs")
    assert spec_from_json(spec_to_json(spec), installed=True).declined_text_steps == spec.declined_text_steps
    assert prepared("e\u0301 １ −5", *spec.declined_text_steps) == "e\u0301 1 −5"
    with pytest.raises(InvalidPlugin, match="declined_text_steps"):
        fake_spec(declined_text_steps=("nfc",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("so\u00adft １２ cafe\u0301 now", ["so\u00adft", "１２", "cafe\u0301", "now"]),
        ("\u200bone\u00a0two ﬁn", ["one", "two", "ﬁn"]),
        ("ⓐⓑ 𝐜𝐝 ①", ["ⓐⓑ", "𝐜𝐝", "①"]),
        ("10\u202f000 ｶﾞｽ", ["10", "000", "ｶﾞｽ"]),
        ("Vie\u0323\u0302t Na\u0306m", ["Vie\u0323\u0302t", "Na\u0306m"]),
    ],
)
def test_marks_are_in_the_callers_text(text, words):
    """Whatever the steps have made of it."""
    with RealProvider(fake_spec()) as tts:
        speech = tts.generate(text)
    assert [text[slice(*mark.span)] for mark in speech.marks] == words
    assert speech.text == text


@pytest.mark.parametrize("step", [*TEXT_STEPS])
def test_every_character_keeps_its_place(step):
    """What was copied maps to itself, and no step moves what is behind it."""
    text = "x e\u0301１\u00ad①ﬁ \u00a0−5 y"
    others = [name for name in TEXT_STEPS if name != step]
    edited = prepare(EditedText(text), None, steps_without(others)).edited
    last = len(edited.text) - 1
    assert edited.to_original((0, 1)) == (0, 1)
    assert edited.to_original((last, last + 1)) == (len(text) - 1, len(text))
    spans = [edited.to_original((at, at + 1)) for at in range(len(edited.text))]
    assert spans == sorted(spans)
