"""What a request needs beside the model is asked of the plugin before anything is loaded."""

import pytest

from realtts import RealProvider
from realtts.errors import MissingExtra
from realtts.testing import fake_spec

asked = []


def refuse(checkpoint, request):
    """As a plugin that lacks what reads a language, or a voice."""
    asked.append((checkpoint, request.language, request.voice, request.options))
    if request.language == "de" or request.voice == "low":
        raise MissingExtra("what reads it is not installed", who="provider 'fake'", fix="pip install it")


def broken(checkpoint, request):
    """As a plugin with a fault."""
    raise KeyError(request.text)


@pytest.fixture
def make():
    """Make a fake provider whose spec names a check."""
    asked.clear()
    made = []

    def make(check="refuse"):
        spec = fake_spec(check_request=f"{__name__}:{check}", languages=("en", "de"))
        made.append(RealProvider(spec, isolation="never"))
        return made[-1]

    yield make
    for tts in made:
        tts.close()


SPEAK = {
    "generate": lambda tts, **more: tts.generate("One.", **more),
    "stream": lambda tts, **more: list(tts.stream("One.", **more)),
    "batch": lambda tts, **more: tts.generate_batch(["One.", "Two."], **more),
    "written": lambda tts, **more: list(tts.stream(iter(["One. ", "Two."]), **more)),
    "ssml": lambda tts, **more: tts.generate("<speak>One. <p>Two.</p></speak>", ssml=True, **more),
}


@pytest.mark.parametrize("speak", SPEAK.values(), ids=SPEAK)
@pytest.mark.parametrize("wrong", [{"language": "de"}, {"voice": "low"}], ids=["language", "voice"])
def test_nothing_is_loaded(make, speak, wrong):
    """The plugin's error comes as it is, and the provider stays as it was."""
    tts = make()
    with pytest.raises(MissingExtra, match="is not installed"):
        speak(tts, **wrong)
    assert (tts.state, tts.get_provider_status()["attempts"]) == ("unloaded", [])
    speak(tts, language="en")
    assert tts.state == "ready"


def test_each_kind_of_request_is_checked_once(make):
    """Pieces that differ in their text alone need the same."""
    tts = make()
    tts.generate("One sentence after the other. " * 40, seed=1)
    assert len(asked) == 1


@pytest.mark.parametrize("check", ["broken", "nowhere"])
def test_a_check_that_fails_harms_nobody(make, check):
    """A plugin's fault, or one that is not installed here: loading tells more."""
    assert make(check).generate("One.").duration > 0
