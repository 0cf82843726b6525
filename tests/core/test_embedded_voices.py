"""Who speaks where nobody is named: hibari for English, espeak for the rest, fixed when the provider is made."""

import pytest

from realtts import RealProvider, errors
from realtts.registry.providers import EMBEDDED, default_provider
from realtts.testing import fake_spec

HIBARI = fake_spec(name="hibari", embedded=True, languages=("en-us", "en"))
ESPEAK = fake_spec(name="espeak", embedded=True, languages=("en-us", "en", "en-gb", "de", "vi", "cmn", "nb"))
MODEL = fake_spec(name="model", languages=("ja",))


def chosen(language, *specs):
    """The name of the default among some providers."""
    return default_provider({spec.name: spec for spec in specs}, language).name


def test_the_order_is_fixed():
    """Whatever order they were installed in."""
    assert EMBEDDED == ("hibari", "espeak")
    assert chosen(None, ESPEAK, HIBARI) == chosen(None, HIBARI, ESPEAK) == "hibari"


@pytest.mark.parametrize("language", [None, "en", "en-US", "en_GB", "English", "eng", "en-AU"])
def test_hibari_for_english(language):
    """By any of its names; without it espeak, as before."""
    assert chosen(language, ESPEAK, HIBARI, MODEL) == "hibari"
    assert chosen(language, ESPEAK, MODEL) == "espeak"


@pytest.mark.parametrize("language", ["de", "German", "vi", "zh", "Norwegian", "de-AT"])
def test_espeak_for_the_rest(language):
    """Whatever else is installed."""
    assert chosen(language, ESPEAK, HIBARI, MODEL) == "espeak"


def test_hibari_alone_is_the_default():
    """Even for a language that it does not speak: a call says so then."""
    assert chosen("de", HIBARI, MODEL) == "hibari"


def test_why_names_the_language():
    """So that nobody wonders why another voice speaks."""
    both = {spec.name: spec for spec in (ESPEAK, HIBARI)}
    assert default_provider(both).why == "the embedded voice for English; nothing else was chosen"
    assert "for the setting language='de'" in default_provider(both, "de").why
    assert default_provider({"espeak": ESPEAK}).why == "the embedded voice; nothing else was chosen"


@pytest.fixture
def embedded(monkeypatch):
    """Both voices and a model, as if they were installed; nothing else is."""
    from realtts.registry import providers

    specs = {spec.name: spec for spec in (ESPEAK, HIBARI, MODEL)}
    entries = [providers.Installed(name, spec, None, f"realtts-{name}", "1") for name, spec in sorted(specs.items())]
    monkeypatch.setattr(providers, "installed", lambda: entries)
    monkeypatch.setattr(providers, "get_spec", specs.__getitem__)
    monkeypatch.setenv("REALTTS_ISOLATION", "never")


@pytest.mark.parametrize(
    ("language", "name"), [("de", "espeak"), ("German", "espeak"), ("ja", "model"), ("vi", "espeak"), ("zh", "espeak")]
)
def test_another_language_names_who_speaks_it(embedded, language, name):
    """The provider is what it was when it was made; the error names one that can, an embedded voice first."""
    with RealProvider() as tts:
        assert tts.spec.name == "hibari"
        for speak in (tts.generate, lambda *args, **more: list(tts.stream(*args, **more))):
            with pytest.raises(errors.UnknownLanguage) as caught:
                speak("Hello", language=language)
            assert "choose from en-us, en" in caught.value.fix
            assert f"RealProvider({name!r})" in caught.value.fix


@pytest.mark.parametrize("language", ["xx-nowhere", "tlh", "", 7, " "])
def test_a_language_that_nobody_speaks(embedded, language):
    """The error is the provider's own."""
    with RealProvider() as tts, pytest.raises(errors.UnknownLanguage) as caught:
        tts.generate("Hello", language=language)
    assert "RealProvider(" not in caught.value.fix


def test_the_setting_chooses(embedded, monkeypatch):
    """When the provider is made, from a keyword or the environment."""
    assert RealProvider(language="de").spec.name == "espeak"
    monkeypatch.setenv("REALTTS_LANGUAGE", "vi")
    assert RealProvider().spec.name == "espeak"
    assert RealProvider(language="en").spec.name == "hibari"
    monkeypatch.setenv("REALTTS_PROVIDER", "model")
    assert RealProvider(language="de").spec.name == "model"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((), "hibari"),
        (("-l", "de"), "espeak"),
        (("-l", "en"), "hibari"),
        (("-p", "espeak"), "espeak"),
        (("-l", "Vietnamese"), "espeak"),
    ],
)
def test_say_takes_the_language_of_the_text(embedded, tmp_path, capsys, arguments, name):
    """With `-l`, who speaks follows the text."""
    from realtts.cli.app import run

    assert run(["say", "Hello there", *arguments, "-o", str(tmp_path / "a.wav")]) == 0
    assert f"{name}/" in capsys.readouterr().err


def test_install_says_that_english_sounds_different_now(embedded, monkeypatch, capsys):
    """The one install that changes what a command does tells it."""
    from pathlib import Path
    from types import SimpleNamespace

    import realtts.isolation.install as installing
    from realtts.cli.app import run
    from realtts.registry import providers

    everything = providers.installed()
    monkeypatch.setattr(providers, "installed", lambda: [entry for entry in everything if entry.name != "hibari"])

    def install(*_, **__):
        monkeypatch.setattr(providers, "installed", lambda: everything)
        return SimpleNamespace(versions={"python": "3.11"}, python=Path("python")), True

    monkeypatch.setattr(installing, "install", install)
    assert run(["install", "hibari"]) == 0
    assert "uses it for English now, in place of espeak" in capsys.readouterr().out
    assert run(["install", "hibari"]) == 0
    assert "in place of" not in capsys.readouterr().out
