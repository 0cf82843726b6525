"""Which voices are listed, and which one a client means."""

from __future__ import annotations

import asyncio

import pytest
from stepping_provider import stepping_spec
from wyoming.tts import Synthesize, SynthesizeVoice
from wyoming_client import Client, reached

from realtts.errors import UnknownLanguage, VoiceNotFound
from realtts.testing import fake_spec, voice_like
from realtts.voices import VoiceStore
from realtts_wyoming import WyomingConfig, WyomingServer
from realtts_wyoming.events import WantedVoice

BARE = {"name": "bare", "capabilities": frozenset(), "voices": None}


@pytest.fixture
def voices():
    """Makes lists of voices without a server that listens."""
    servers = []

    def make(*specs, settings=None, **fields):
        servers.append(WyomingServer(WyomingConfig(**fields), specs or (stepping_spec(),), **(settings or {})))
        return servers[-1].state.voices

    yield make
    for server in servers:
        asyncio.run(server.close())


def listed(voices):
    """Languages and speakers by name."""
    (program,) = voices.info().tts
    assert program.name == "realtts"
    names = [voice.name for voice in program.voices]
    assert len(set(names)) == len(names)
    assert all(voice.installed and voice.description for voice in program.voices)
    return {
        voice.name: (voice.languages, [speaker.name for speaker in voice.speakers or ()]) for voice in program.voices
    }


def choice(voices, **wanted):
    """Model, voice and language of what a client sends."""
    chosen = voices.choose(WantedVoice(**wanted) if wanted else None)
    return chosen.model.name, chosen.voice, chosen.language


def test_the_list(voices):
    """A voice of one language once, one of several for each: Home Assistant sends no language with a name."""
    assert listed(voices()) == {
        "stepping": (["en"], ["anna", "ben_1", "cleo"]),
        "stepping/anna": (["de"], []),
        "stepping/ben_1": (["pt-BR"], []),
        "stepping/cleo@en": (["en"], []),
        "stepping/cleo@de": (["de"], []),
        "stepping/cleo@pt-br": (["pt-BR"], []),
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"bare": ["en"], "bare@de": ["de"], "bare@pt-br": ["pt-BR"]}),
        ({"languages": ("fr",)}, {"bare": ["fr"]}),
        ({"languages": ()}, {"bare": ["en"]}),
        ({"languages": ("zh-hans", "sr-latn-rs")}, {"bare": ["zh-Hans"], "bare@sr-latn-rs": ["sr-Latn-RS"]}),
        ({"languages": ("vi-vn-x-south",)}, {"bare": ["vi-VN-x-south"]}),
    ],
    ids=str,
)
def test_models_with_one_voice(voices, changes, expected):
    """Their default voice in each language, under tags as BCP 47 writes them."""
    names = listed(voices(stepping_spec(**{**BARE, **changes})))
    assert {name: languages for name, (languages, _) in names.items()} == expected


def test_saved_voices_come_and_go(voices, steps, tmp_path):
    """The list is made anew each time; models that cannot clone have none of them; nothing is loaded."""
    several = voices(stepping_spec(languages=("en", "de")), stepping_spec(**{**BARE, "languages": ("en",)}))
    before = set(listed(several))
    store = VoiceStore(tmp_path / "data" / "voices")
    store.add("grandma", voice_like(3.0))
    assert set(listed(several)) - before == {"stepping/grandma@en", "stepping/grandma@de"}
    assert choice(several, name="stepping/grandma@de") == ("stepping", "grandma", "de")
    assert choice(several, name="Grandma") == ("stepping", "grandma", None)
    store.remove("grandma")
    assert set(listed(several)) == before
    assert steps.loads == 0


async def test_a_saved_voice_speaks(serve, steps, tmp_path):
    """By its name, and by its name as a speaker."""
    steps.free()
    VoiceStore(tmp_path / "data" / "voices").add("grandma", voice_like(3.0))
    async with serve() as server, Client(server) as client:
        for voice in (SynthesizeVoice("stepping/grandma@en"), SynthesizeVoice("stepping", speaker="grandma")):
            await client.send(Synthesize("one two", voice))
            assert (await client.until("audio-stop"))[-1].type == "audio-stop"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ("stepping", None, None)),
        ({"name": ""}, ("stepping", None, None)),
        ({"name": "stepping"}, ("stepping", None, None)),
        ({"name": "stepping/anna"}, ("stepping", "anna", "de")),
        ({"name": " Stepping/ANNA "}, ("stepping", "anna", "de")),
        ({"name": "stepping/cleo@pt-br"}, ("stepping", "cleo", "pt-br")),
        ({"name": "stepping/cleo"}, ("stepping", "cleo", None)),
        ({"name": "cleo@de"}, ("stepping", "cleo", "de")),
        ({"name": "anne"}, ("stepping", "anna", "de")),
        ({"name": "Ben-1"}, ("stepping", "ben_1", "pt-br")),
        ({"name": "stepping@de"}, ("stepping", None, "de")),
        ({"name": "bare@de"}, ("bare", None, "de")),
        ({"name": "stepping", "speaker": "cleo"}, ("stepping", "cleo", None)),
        ({"name": "bare", "language": "xx"}, ("bare", None, None)),
        ({"language": "de"}, ("stepping", None, "de")),
        ({"language": "German"}, ("stepping", None, "de")),
        ({"language": "pt_BR"}, ("stepping", None, "pt-br")),
        ({"language": "fi"}, ("nordic", None, "fi")),
        ({"name": "alloy"}, ("stepping", "anna", "de")),
    ],
    ids=str,
)
def test_what_is_meant(voices, wanted, expected):
    """Names of the list, of providers, of voices, whatever their case; a language alone; names of the configuration."""
    others = (stepping_spec(**BARE), stepping_spec(**{**BARE, "name": "nordic", "languages": ("fi",)}))
    assert choice(voices(stepping_spec(), *others, voices={"alloy": "stepping/anna"}), **wanted) == expected


@pytest.mark.parametrize(
    "wanted",
    [{"name": "nobody"}, {"name": "piper/anna"}, {"name": "@"}, {"name": "/"}, {"name": "../../etc/passwd"},
     {"name": "http://example.org/a.wav"}, {"name": "ann"}],
    ids=str,
)  # fmt: skip
def test_nobody_has_it(voices, wanted):
    """A typed error that says where to choose from."""
    with pytest.raises(VoiceNotFound, match="describe"):
        choice(voices(), **wanted)


@pytest.mark.parametrize("language", ["xx", "Klingon", "e", "fr", "de-", "??"])
def test_nobody_speaks_it(voices, language):
    """Of languages alone, too."""
    with pytest.raises(UnknownLanguage, match="describe"):
        choice(voices(stepping_spec(languages=("en", "ja"))), language=language)


@pytest.mark.parametrize("name", ["stepping/nobody", "stepping/anna.wav", "stepping/../x", "bare/x", "stepping/"])
async def test_the_provider_says_what_it_has_not(serve, name, tmp_path):
    """Before a load; a voice is never a file."""
    (tmp_path / "anna.wav").write_bytes(b"RIFF")
    async with serve(stepping_spec(), stepping_spec(**BARE)) as server, Client(server) as client:
        await client.send(Synthesize("one", SynthesizeVoice(name)))
        code, text = await client.error()
        assert code in {"voice_not_found", "voice_unsupported"}
        assert str(tmp_path) not in text
        assert not any(model.is_loaded for model in server.state.models.all)


async def test_a_models_own_voices_are_listed_once_it_has_spoken(serve):
    """Where the plugin cannot name them without: the list never loads a model, and is kept when it is unloaded."""
    async with serve(fake_spec()) as server, Client(server) as client:
        names = {voice.name for voice in (await client.info()).tts[0].voices}
        assert names == {"fake", "fake@de", "fake@pt-br"}
        model = server.state.models.find("fake")
        assert not model.is_loaded
        await client.send(Synthesize("alpha", SynthesizeVoice("fake/low")))
        await client.until("audio-stop")
        await reached(lambda: not model.users)  # it is asked beside the requests
        await asyncio.to_thread(model.provider.unload)
        names = {voice.name for voice in (await client.info()).tts[0].voices}
        assert {"fake/low", "fake/high"} <= names
        assert not model.is_loaded
