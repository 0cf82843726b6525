"""Voices: the list, how one is chosen, and that every one speaks."""

from __future__ import annotations

import numpy as np
import pytest

from realtts import RealProvider, errors
from realtts.contract.types import Voice
from realtts.settings import Settings
from realtts.voices.lookup import builtin_voice
from realtts_espeak import spec, synthesis
from realtts_espeak.catalogue import read_catalogue, voices_of
from realtts_espeak.library import fresh_library

TEXT = "Hello, one two three."


def _ids() -> list[str]:
    with fresh_library() as library:
        return [voice.id for voice in read_catalogue(library).voices]


def test_list(say) -> None:
    """Over 100, unique, described, each in a declared language."""
    voices = say.plain.voices(None, say.model)
    assert len(voices) > 100
    assert len({voice.id for voice in voices}) == len(voices)
    assert all(voice.name and voice.language in spec.languages for voice in voices)


@pytest.mark.parametrize("voice", _ids())
def test_every_voice_speaks(say, voice: str, capfd) -> None:
    """A short word, audible, with its time, and without a complaint on the C streams."""
    spoken = say("radio 1", voice=voice)
    assert np.abs(spoken.samples).max() > 0.05
    assert 0.2 < spoken.duration < 6
    assert spoken.words
    assert capfd.readouterr() == ("", "")


def test_every_variant_speaks_and_repeats(say) -> None:
    """All of them, each its own sound, the noisy ones repeatable too."""
    heard = set()
    for variant in say.model.catalogue.variants:
        samples = say("Hello.", variant=variant).samples
        assert np.array_equal(samples, say("Hello.", variant=variant).samples), variant
        heard.add(samples.tobytes())
    assert len(heard) > 90


@pytest.mark.parametrize("name", ["de", "DE", "gmw/de", "German"], ids=str)
def test_names_of_one_voice(say, name: str) -> None:
    """Our id, espeak's identifier and its name, in any case."""
    assert np.array_equal(say(TEXT, voice=name).samples, say(TEXT, language="de").samples)


@pytest.mark.parametrize("change", [str, str.upper], ids=["as it is", "capitals"])
def test_names_before_load_mean_the_same_voice(say, change) -> None:
    """Every id, name, identifier and tag leads to the voice that espeak itself takes for it, without a load."""
    catalogue = say.model.catalogue
    names = {name for voice in catalogue.voices for name in (voice.id, voice.name, voice.identifier)}
    names |= {tag for voice in catalogue.voices for tag, _ in voice.languages}
    for name in map(change, names):
        chosen = builtin_voice(name, voices_of(None), spec=spec, settings=Settings())
        assert chosen == catalogue.voice(name).id, name


def test_a_list_needs_no_load() -> None:
    """The voices are known before."""
    with RealProvider("espeak") as tts:
        assert len(tts.voices(load=False)) > 100
        assert tts.get_provider_status()["state"] == "unloaded"


@pytest.mark.parametrize(
    ("language", "voice"),
    [(None, "en-us"), ("en", "en-us"), ("en-GB", "en-gb"), ("pt-BR", "pt-br"), ("de-AT", "de"), ("zh", "cmn")],
    ids=str,
)
def test_language_selects(say, language: str | None, voice: str) -> None:
    """The default, case, regions that espeak lacks, and names of macro languages."""
    assert np.array_equal(say(TEXT, language=language).samples, say(TEXT, voice=voice).samples)


@pytest.mark.parametrize("variant", ["", "f3", "Andy"], ids=repr)
def test_the_quick_way_is_the_same_voice(say, monkeypatch, variant: str) -> None:
    """Voices with capitals in their file's name sound as when espeak finds them by name."""
    voices = [voice for voice in say.model.catalogue.voices if voice.identifier != voice.identifier.lower()]
    assert len(voices) > 10
    quick = [say(TEXT, voice=voice.id, variant=variant).samples for voice in voices]
    monkeypatch.setattr(
        synthesis, "select_voice", lambda library, voice, ssml: library.espeak_SetVoiceByName(voice.encode())
    )
    for voice, samples in zip(voices, quick, strict=True):
        assert np.array_equal(say(TEXT, voice=voice.id, variant=variant).samples, samples), voice.id


def test_voice_wins_over_language(say) -> None:
    """Both given."""
    assert np.array_equal(say(TEXT, voice="fr-fr", language="de").samples, say(TEXT, voice="fr-fr").samples)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"voice": "en-uk"}, errors.VoiceNotFound, "did you mean"),
        ({"voice": "../../../etc/passwd"}, errors.VoiceNotFound, "no voice"),
        ({"voice": "en-us+f3"}, errors.VoiceNotFound, "variant"),
        ({"language": "tlh"}, errors.UnknownLanguage, "no voice speaks"),
        ({"variant": "wisper"}, errors.InvalidOption, "did you mean 'whisper'"),
        ({"variant": "../../lang/gmw/de"}, errors.InvalidOption, "no variant"),
        ({"voice": Voice(np.zeros(9, np.float32), 22050)}, errors.VoiceUnsupported, "cannot clone"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_not_there(say, arguments: dict, error: type[Exception], says: str) -> None:
    """Typed errors that help."""
    with pytest.raises(error, match=says):
        say(TEXT, **arguments)


def test_names_too_long_for_espeak(say) -> None:
    """Espeak joins them in 40 bytes without looking: refused before that."""
    catalogue = say.model.catalogue
    voice = catalogue.voice("chr-us-qaaa-x-west")
    catalogue = type(catalogue)(catalogue.voices, ("v" * 36,))
    with pytest.raises(errors.InvalidOption, match="too long"):
        catalogue.named(voice, "v" * 36)


@pytest.mark.parametrize(
    ("name", "voice"),
    [
        ("German", "de"), ("GERMAN", "de"), ("gmw/de", "de"), ("DE", "de"), ("gmw/en-US", "en-us"), ("EN-GB", "en-gb"),
        ("en_GB", "en-gb"), ("English (America)", "en-us"), ("english-(america)", "en-us"),
        ("Vietnamese (Northern)", "vi"), ("fr-be", "fr-be"), ("Deutsch", "de"), ("deu", "de"), ("es-ES", "es"),
        ("Mandarin", "zh"), ("日本語", "ja"), ("Português", "pt"), ("de_DE.UTF-8", "de"),
    ],
)  # fmt: skip
def test_voices_by_the_names_that_the_docs_promise(name, voice) -> None:
    """Through the facade, as its own lookup takes them."""
    with RealProvider("espeak", isolation="never") as tts:
        said, meant = (tts.generate("one two", voice=each, seed=1) for each in (name, voice))
    assert np.array_equal(said.samples, meant.samples)


@pytest.mark.parametrize(
    ("name", "meant"), [("Englsh", "English"), ("Germn", "German"), ("brazil", "Brazilian"), ("fr-bee", "fr-be")]
)
def test_the_voice_that_was_probably_meant(name, meant) -> None:
    """By its language, its name or its tag."""
    with RealProvider("espeak", isolation="never") as tts, pytest.raises(errors.VoiceNotFound, match=meant):
        tts.generate("one two", voice=name)


@pytest.mark.parametrize(
    ("language", "tag"),
    [
        ("German", "de"), ("Deutsch", "de"), ("deu", "de"), ("english", "en-us"), ("English (UK)", "en-gb"),
        ("Brazilian Portuguese", "pt-br"), ("Tiếng Việt", "vi"), ("日本語", "ja"), ("Farsi", "fa"), ("iw", "he"),
        ("en_GB.UTF-8", "en-gb"), ("zh-Hans-CN", "zh"), ("no", "nb"),
    ],
)  # fmt: skip
def test_languages_by_name(say, language, tag) -> None:
    """In the call, and in SSML."""
    assert np.array_equal(say("one two", language=language).samples, say("one two", language=tag).samples)
    text = '<speak><voice xml:lang="{}">one two</voice></speak>'
    named, tagged = (say(text.format(each), ssml=True) for each in (language, tag))
    assert np.array_equal(named.samples, tagged.samples)
