"""An isolated provider's voices are named by its plugin, in its environment, before a model is loaded there."""

import numpy as np
import pytest

from realtts import Checkpoint, RealProvider
from realtts.errors import ProviderClosed, VoiceNotFound, VoiceUnsupported, WorkerDied
from realtts.testing import fake_spec
from realtts.voices import VoiceStore

CHECKPOINTS = tuple(Checkpoint(name) for name in ("whole", "silent", "damaged", "deadly"))


@pytest.fixture(scope="module")
def data(install):
    """Where a fake provider is installed whose voices the plugin ``rogue`` names; this process has not got it."""
    return install(fake_spec(voices="rogue:voices_of", checkpoints=CHECKPOINTS))


@pytest.fixture(scope="module")
def tts(data):
    """The provider; no test but the last loads it."""
    with RealProvider("fake", data_dir=data) as provider:
        yield provider


def loads(tts):
    """Whether a model was loaded."""
    return tts.get_provider_status()["state"] != "unloaded"


@pytest.mark.parametrize("voice", ["hihg", "medium", "low2", "Low voice", "\u9ad8"])
def test_an_unknown_voice_is_refused_before_load(tts, voice):
    """In every way to speak; the error names what there is."""
    for speak in (tts.generate, lambda text, voice: next(tts.stream(text, voice=voice))):
        with pytest.raises(VoiceNotFound, match="low, high"):
            speak("one two", voice=voice)
    with pytest.raises(VoiceNotFound, match="low, high"):
        tts.generate_batch(["one", "two"], voice=voice)
    assert not loads(tts)


def test_voices_are_listed_without_a_load(tts):
    """The plugin's own list."""
    assert [(voice.id, voice.aliases) for voice in tts.voices()] == [("low", ("bass",)), ("high", ())]
    assert not loads(tts)


def test_a_saved_voice_where_nothing_is_cloned(install):
    """The error says so, and nothing is loaded for it."""
    spec = fake_spec(voices="rogue:voices_of", capabilities=frozenset({"voices"}))
    data = install(spec)
    VoiceStore(data / "voices").add("anna", ((0.1 * np.random.default_rng(0).standard_normal(16_000)), 16_000))
    with RealProvider("fake", data_dir=data) as tts:
        with pytest.raises(VoiceUnsupported, match="cannot clone"):
            tts.generate("one", voice="anna")
        assert not loads(tts)


@pytest.mark.parametrize("model", ["silent", "damaged"])
def test_where_the_plugin_cannot_name_them_the_model_does(data, model):
    """None and a fault are no answers."""
    with RealProvider("fake", data_dir=data, model=model) as tts:
        with pytest.raises(VoiceNotFound, match="high"):
            tts.generate("one", voice="hihg")
        assert loads(tts)


def test_a_plugin_that_ends_its_process(data):
    """The request gets the one error; the next one is served by another worker."""
    with RealProvider("fake", data_dir=data, model="deadly") as tts:
        with pytest.raises(WorkerDied):
            tts.voices()
        assert tts.generate("one", seed=1).duration > 0


def test_after_close(data):
    """The same error as of any other use."""
    tts = RealProvider("fake", data_dir=data)
    tts.close()
    with pytest.raises(ProviderClosed):
        tts.voices()


def test_a_voice_that_exists_speaks(tts, here):
    """By id or alias, as in process."""
    spoken = tts.generate("one two", voice="LOW", seed=1)
    assert np.array_equal(spoken.samples, here.generate("one two", voice="low", seed=1).samples)
    assert loads(tts)
