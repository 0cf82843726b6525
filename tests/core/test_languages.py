"""Languages by code and name: which of a provider's tags is meant."""

from __future__ import annotations

import pytest

from realtts import RealProvider, errors
from realtts.kit.languages import closest_language, language_tag, resolve_language
from realtts.registry.providers import default_provider
from realtts.synthesis.validate import check_language
from realtts.testing import fake_spec

MANY = (
    "en-us", "en", "en-gb", "ar", "cmn", "de", "el", "es", "es-419", "es-mx", "fa", "fil", "fr", "fr-ch", "he", "hi",
    "id", "ja", "ko", "nb", "pt", "pt-br", "pt-pt", "ru", "sr", "sw", "tr", "uk", "vi", "yue", "zh", "zh-x-beijing",
)  # fmt: skip
FEW = ("vi", "en")
OWN = (("beijing_dialect", "zh-x-beijing"),)


@pytest.mark.parametrize(
    ("language", "tag"),
    [
        ("en", "en"), ("EN", "en"), ("eng", "en"), ("english", "en"), ("English", "en"), (" ENGLISH ", "en"),
        ("English language", "en"), ("en-US", "en-us"), ("en_us", "en-us"), ("en_US.UTF-8", "en-us"), ("en-AU", "en"),
        ("en-Latn-GB", "en-gb"), ("American English", "en-us"), ("English (US)", "en-us"), ("British English", "en-gb"),
        ("English (United Kingdom)", "en-gb"), ("en-u-ca-gregory", "en"),
        ("vi", "vi"), ("vi-VN", "vi"), ("vie", "vi"), ("Vietnamese", "vi"), ("Tiếng Việt", "vi"), ("tieng viet", "vi"),
        ("Tiê\u0301ng Viê\u0323t", "vi"),
        ("Deutsch", "de"), ("german", "de"), ("deu", "de"), ("ger", "de"), ("de_DE@euro", "de"), ("de-CH", "de"),
        ("Chinese", "zh"), ("zh-Hans-CN", "zh"), ("zh_TW", "zh"), ("chi", "zh"), ("zho", "zh"), ("中文", "zh"),
        ("Simplified Chinese", "zh"), ("Chinese (Traditional)", "zh"), ("Mandarin", "cmn"), ("zh-cmn", "cmn"),
        ("Chinese (Mandarin)", "cmn"), ("Cantonese", "yue"), ("zh-yue", "yue"), ("Beijing dialect", "zh-x-beijing"),
        ("beijing_dialect", "zh-x-beijing"), ("zh-x-beijing", "zh-x-beijing"),
        ("Brazilian Portuguese", "pt-br"), ("Portuguese (Brazil)", "pt-br"), ("pt_BR", "pt-br"), ("português", "pt"),
        ("Latin American Spanish", "es-419"), ("Mexican Spanish", "es-mx"), ("Español", "es"), ("Castilian", "es"),
        ("es-AR", "es"), ("Swiss French", "fr-ch"), ("Canadian French", "fr"), ("français", "fr"),
        ("no", "nb"), ("Norwegian", "nb"), ("nor", "nb"), ("iw", "he"), ("Hebrew", "he"), ("עברית", "he"),
        ("Farsi", "fa"), ("fa-IR", "fa"), ("fas", "fa"), ("日本語", "ja"), ("jpn", "ja"), ("한국어", "ko"),
        ("ko-KR", "ko"), ("русский", "ru"), ("Greek", "el"), ("Ελληνικά", "el"), ("Tagalog", "fil"), ("tl", "fil"),
        ("in", "id"), ("Bahasa Indonesia", "id"), ("sr-Latn-RS", "sr"), ("Kiswahili", "sw"), ("हिन्दी", "hi"),
        ("العربية", "ar"), ("arb", "ar"), ("Türkçe", "tr"), ("українська", "uk"),
    ],
)  # fmt: skip
def test_codes_and_names_are_understood(language, tag):
    """ISO 639, BCP 47, locales, and names in English, in their own words and upstream's."""
    assert resolve_language(language, MANY, OWN) == tag


@pytest.mark.parametrize("language", MANY)
def test_a_listed_tag_means_itself(language):
    """In any case, with underscores too."""
    for spelling in (language, language.upper(), language.replace("-", "_")):
        assert resolve_language(spelling, MANY) == language


@pytest.mark.parametrize(
    "language",
    [
        "de",
        "German",
        "xx",
        "xx-nowhere",
        "Elvish",
        "",
        " ",
        "-",
        "e",
        "vi en",
        "Vietnamese English",
        "vietnam",
        "\0",
        "fr-VN",
    ],
)
def test_another_language_is_nobodys(language):
    """Neither is what is no language."""
    assert resolve_language(language, FEW) is None


def test_a_name_takes_the_only_region():
    """With several it would be a guess, a code is taken by its word, and another region than the one given is none."""
    assert resolve_language("Portuguese", ("en", "pt-br")) == "pt-br"
    assert resolve_language("português", ("en", "PT-BR")) == "PT-BR"
    assert resolve_language("Portuguese", ("pt-br", "pt-pt")) is None
    assert resolve_language("pt", ("en", "pt-br")) is None
    assert resolve_language("por", ("en", "pt-br")) is None
    assert resolve_language("pt-pt", ("en", "pt-br")) is None
    assert resolve_language("Cantonese", ("zh", "en")) is None


@pytest.mark.parametrize(
    ("language", "hint"),
    [
        ("Englsh", "'en', English"), ("vietnamees", "'vi', Vietnamese"), ("Tieng Viett", "'vi', Tiếng Việt"),
        ("en-vi", "'en'"), ("de", ""), ("xx", ""), ("Mandarin", ""), ("German", ""), ("zzzzzz", ""),
    ],
)  # fmt: skip
def test_the_nearest_language_is_offered(language, hint):
    """For a misspelt name its tag; another language is no misspelling."""
    assert closest_language(language, FEW) == (f" (did you mean {hint}?)" if hint else "")


@pytest.mark.parametrize(
    ("language", "tag"),
    [
        ("English", "en"),
        ("en_US.UTF-8", "en-us"),
        ("GER", "de"),
        ("zh-Hans", "zh-hans"),
        ("xx", "xx"),
        ("Elvish", "Elvish"),
    ],
)
def test_the_tag_of_a_language(language, tag):
    """What is not known stays."""
    assert language_tag(language) == tag


def test_every_call_takes_names():
    """The call, the setting, and the errors."""
    with RealProvider(fake_spec()) as tts:
        for language in ("German", "deu", "de-AT", "Deutsch"):
            tts.generate("Hallo", language=language)
        with pytest.raises(errors.UnknownLanguage, match=r"'Germn' \(did you mean 'de', German\?\)"):
            tts.generate("Hallo", language="Germn")
    with RealProvider(fake_spec(), language="German") as tts:
        assert len(tts.generate("Hallo").samples)


@pytest.mark.parametrize(
    ("language", "spoken"), [("Auto", None), ("lower_saxon", "de"), ("Lower Saxon", "de"), ("en", "en")]
)
def test_a_model_may_have_names_of_its_own(language, spoken):
    """One of them may mean that it finds the language out."""
    spec = fake_spec(language_names={"auto": "", "lower_saxon": "de"})
    assert check_language(language, spec) == spoken


@pytest.mark.parametrize("names", ["auto", ("auto",), [("auto", None)], [("", "de")], [("a", "b", "c")]], ids=repr)
def test_names_of_another_form_are_refused(names):
    """At registration."""
    with pytest.raises(errors.InvalidPlugin, match="language_names"):
        fake_spec(language_names=names)


def test_the_embedded_voice_is_chosen_by_a_name_too():
    """The setting ``language`` is a preference among embedded voices."""
    specs = {
        "one": fake_spec(name="one", embedded=True, languages=("en",)),
        "two": fake_spec(name="two", embedded=True, languages=("de", "nb")),
    }
    for language in ("German", "deu", "Norwegian", "no-NO"):
        assert default_provider(specs, language).name == "two"
    assert default_provider(specs, "English").name == "one"
