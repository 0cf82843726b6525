"""Built-in voices are found by what people call them, before a model is loaded where the plugin can name its voices."""

import numpy as np
import pytest

from realtts import RealProvider, VoiceNotFound, VoiceUnsupported
from realtts.contract.types import VoiceInfo
from realtts.kit.voices import matching_name
from realtts.testing import fake_spec
from realtts.voices import VoiceStore

RATE = 16_000


def noise(seconds=0.8):
    """A recording."""
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32), RATE


def listed(checkpoint):
    """The fake provider's voices, as its plugin would name them."""
    return [
        VoiceInfo("low", "Low", "en", "male", aliases=("bass/Deep",)),
        VoiceInfo("high", "Very High", "en", "female"),
    ]


def nothing(checkpoint):
    """As a plugin whose files must tell."""


def broken(checkpoint):
    """As a plugin with a fault, or with damaged files."""
    raise OSError("no such file")


@pytest.fixture
def make(tmp_path):
    """Make a fake provider with such voices, whose saved voices lie in the test's folder."""
    providers = []

    def made(voices="listed", **changes):
        path = f"{__name__}:{voices}" if voices else None
        spec = fake_spec(voices=path, **changes)
        providers.append(RealProvider(spec, data_dir=tmp_path / "data", isolation="never"))
        return providers[-1]

    yield made
    for provider in providers:
        provider.close()


def is_loaded(tts):
    """Whether a model was loaded."""
    return tts.get_provider_status()["state"] != "unloaded"


@pytest.mark.parametrize("voice", ["hihg", "medium", "low2", "", "Low voice", "高"])
def test_an_unknown_voice_is_refused_before_load(make, voice):
    """The error names what there is, and nothing is loaded for it."""
    tts = make()
    with pytest.raises(VoiceNotFound, match="low, high"):
        tts.generate("one two", voice=voice)
    with pytest.raises(VoiceNotFound, match="low, high"):
        next(iter(tts.stream("one two", voice=voice)))
    assert not is_loaded(tts)


@pytest.mark.parametrize("voice", ["LOW", "Low", " low ", "bass/deep", "BASS/DEEP"])
@pytest.mark.parametrize("voices", ["listed", None], ids=["before load", "after load"])
def test_a_voice_goes_by_id_name_and_alias_in_any_case(make, voices, voice):
    """It speaks as by its id, whether the plugin names its voices before the load or only after it."""
    if voices is None and "/" in voice:
        pytest.skip("the fake model's own voices have no aliases")
    tts = make(voices)
    spoken = tts.generate("one two", voice=voice, seed=1)
    assert np.array_equal(spoken.samples, tts.generate("one two", voice="low", seed=1).samples)


@pytest.mark.parametrize("voice", ["very high", "Very High", "very_high", "VERY-HIGH", "HIGH"])
def test_a_name_of_several_words_may_be_joined(make, voice):
    """Spaces, hyphens and underscores are one."""
    tts = make()
    spoken = tts.generate("one two", voice=voice, seed=1)
    assert np.array_equal(spoken.samples, tts.generate("one two", voice="high", seed=1).samples)


def test_voices_are_listed_without_a_load(make):
    """As far as the plugin can name them."""
    tts = make()
    assert [voice.id for voice in tts.voices()] == ["low", "high"]
    assert not is_loaded(tts)


@pytest.mark.parametrize("voices", ["nothing", "broken", "missing", None])
def test_a_plugin_that_cannot_name_them_is_asked_when_loaded(make, voices):
    """None, a fault and a name that cannot be imported are no answers: the model's are taken."""
    tts = make(voices)
    assert [voice.id for voice in tts.voices()] == ["low", "high"]
    assert is_loaded(tts)
    with pytest.raises(VoiceNotFound, match="high"):
        tts.generate("one", voice="hihg")


@pytest.mark.parametrize("name", ["anna", "Anna B", "narrator", "low-2", "Zoë"])
@pytest.mark.parametrize("capabilities", [set(), {"voices"}], ids=["one voice", "built-in voices"])
@pytest.mark.parametrize("voices", ["listed", None])
def test_a_saved_voice_with_a_provider_that_cannot_clone(make, tmp_path, capabilities, name, voices):
    """The error says so, and not that there is no such voice."""
    name = name.replace(" ", "_")
    VoiceStore(tmp_path / "data" / "voices").add(name, noise())
    tts = make(voices, capabilities=frozenset(capabilities))
    with pytest.raises(VoiceUnsupported, match="cannot clone") as caught:
        tts.generate("one", voice=name)
    assert name in str(caught.value)


def test_a_built_in_voice_wins_over_a_saved_one_where_nothing_is_cloned(make, tmp_path):
    """The built-in one can speak."""
    VoiceStore(tmp_path / "data" / "voices").add("low", noise())
    tts = make(capabilities=frozenset({"voices"}))
    assert tts.generate("one", voice="low").duration > 0


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Ryan", "ryan"), ("RYAN", "ryan"), (" ryan ", "ryan"), ("Uncle Fu", "uncle_fu"), ("uncle-fu", "uncle_fu"),
        ("Bình", "Bình"), ("Bi\u0300nh", "Bình"), ("bình", "Bình"), ("STRASSE", "Straße"),
        ("Ada", "Ada"), ("ada", "ada"), ("Binh", None), ("", None), ("ry an", None),
    ],
)  # fmt: skip
def test_names_match_in_any_spelling(name, meant):
    """Case, spaces, underscores and hyphens do not matter; the same spelling goes first."""
    assert matching_name(name, ["ryan", "uncle_fu", "Bình", "Straße", "ada", "Ada"]) == meant


@pytest.mark.parametrize("name", ["Anna", "anna", "ANNA", " anna", "Big_Bob", "big bob", "big-bob"])
def test_saved_voices_go_by_any_spelling(tmp_path, name):
    """As built-in ones do."""
    wave = (0.1 * np.random.default_rng(0).standard_normal(48_000)).astype(np.float32)
    for saved in ("Anna", "Big_Bob"):
        VoiceStore(tmp_path / "voices").add(saved, (wave, 24_000))
    with RealProvider(fake_spec(), data_dir=tmp_path) as tts:
        assert len(tts.generate("Hello", voice=name).samples)


@pytest.mark.parametrize(
    ("voices", "before"), [("listed", ["low", "high"]), ("nothing", []), ("broken", []), (None, [])], ids=str
)
def test_a_list_without_a_load(make, voices, before):
    """What is known without the model; the model's own voices are remembered once it was asked."""
    tts = make(voices)
    VoiceStore(tts.settings.data_dir / "voices").add("anna", noise(3.0))
    assert [voice.id for voice in tts.voices(load=False)] == [*before, "anna"]
    assert not is_loaded(tts)
    whole = [voice.id for voice in tts.voices()]
    assert whole == ["low", "high", "anna"]
    assert [voice.id for voice in tts.voices(load=False)] == whole
    tts.unload()
    assert [voice.id for voice in tts.voices(load=False)] == whole
    assert not is_loaded(tts)
