"""Another provider speaks when one has no rung left, where the setting ``fallback`` names it."""

import asyncio
import json

import numpy as np
import pytest

from realtts import RealProvider, Settings, errors
from realtts.registry import providers
from realtts.testing import fake_spec, faulty

GOOD = fake_spec(name="good")
OTHER = fake_spec(name="other", languages=("de",))
BROKEN = faulty(fake_spec(name="broken", optimized=None), "load", variant="plain")
LATE = faulty(fake_spec(name="late", optimized=None), "generate", variant="plain", after=2)


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    """What is installed: two that speak, one for German, two that break."""
    specs = {spec.name: spec for spec in (GOOD, OTHER, BROKEN, LATE)}

    def get_spec(name):
        if name not in specs:
            raise errors.UnknownProvider("there is no such provider", who=repr(name), fix="install it")
        return specs[name]

    monkeypatch.setattr(providers, "get_spec", get_spec)


@pytest.fixture
def crossing(open_provider):
    """Opens a provider that cannot speak, with others behind it."""

    def crossing(*names, spec=BROKEN, **settings):
        return open_provider(spec, fallback=names, isolation="never", **settings)

    return crossing


def alone(text="hello there", **arguments):
    """What the provider that steps in says by itself."""
    with RealProvider(GOOD) as tts:
        return tts.generate(text, **arguments)


def check(speech):
    """It is the other provider's, and says so."""
    expected = alone(seed=speech.seed)
    assert np.array_equal(speech.samples, expected.samples)
    assert speech.provider == "good"
    assert speech.warnings[0].startswith("good spoke instead of broken")
    assert "load" not in speech.warnings[0].split(":")[0]


def test_whole_speech(crossing):
    """`generate` returns the other provider's audio for the same seed, with a warning and an attempt."""
    tts = crossing("good")
    check(tts.generate("hello there", seed=3))
    status = tts.get_provider_status()
    assert [attempt["stage"] for attempt in status["attempts"]] == ["load", "fallback"]
    assert "good spoke instead" in status["attempts"][-1]["message"]
    json.dumps(status)


def test_batch(crossing):
    """`generate_batch`, each with the warning."""
    for speech in crossing("good").generate_batch(["hello there", "hello there"], seed=3):
        check(speech)


def test_asyncio(crossing):
    """`agenerate` and `astream`."""

    async def speak():
        tts = crossing("good")
        check(await tts.agenerate("hello there", seed=3))
        return [chunk async for chunk in tts.astream("hello there", seed=3)]

    chunks = asyncio.run(speak())
    assert np.array_equal(np.concatenate([chunk.samples for chunk in chunks]), alone(seed=3).samples)
    assert "spoke instead" in chunks[0].warnings[0]


def test_stream(crossing):
    """Chunks of the other provider, the warning on the first one, metrics and progress as its own."""
    with crossing("good").stream("hello there", seed=3) as stream:
        chunks = list(stream)
        assert stream.spoken_chars == len("hello there")
        assert stream.metrics.total_s > 0
    assert np.array_equal(np.concatenate([chunk.samples for chunk in chunks]), alone(seed=3).samples)
    assert [len(chunk.warnings) for chunk in chunks].count(1) == 1
    assert "spoke instead" in chunks[0].warnings[0]


def test_a_stream_that_was_heard_is_not_begun_anew(crossing):
    """The error is raised then: what was heard cannot be taken back."""
    heard = []

    def listen():
        for chunk in crossing("good", spec=LATE).stream("one two three four", seed=3):
            heard.append(chunk)  # noqa: PERF402 - what came before the error counts

    with pytest.raises(errors.StageFailed, match="after audio"):
        listen()
    assert any(len(chunk.samples) for chunk in heard)
    assert not any("instead" in warning for chunk in heard for warning in chunk.warnings)


@pytest.mark.parametrize(
    "arguments", [{"voice": "low"}, {"loudness": 0.1}, {"voice": (np.sin(np.arange(48_000) / 9), 16_000)}]
)
def test_never_with_a_voice_or_options(crossing, arguments):
    """They are the provider's own, so that nobody hears another voice unawares."""
    with pytest.raises(errors.LadderExhausted):
        crossing("good").generate("hello there", **arguments)


def test_never_with_strict(crossing):
    """The first failing rung is an error."""
    with pytest.raises(errors.StageFailed):
        crossing("good", strict=True).generate("hello there")


def test_the_next_one_that_can(crossing):
    """One that does not speak the language, or has no rung left either, is passed over."""
    assert crossing("broken", "other", "late", "good").generate("hello there", language="en", seed=1).provider == "good"


def test_when_nobody_can_the_first_error_is_raised(crossing):
    """Its fix says why the others could not."""
    with pytest.raises(errors.LadderExhausted, match=r"broken.*no fallback could speak either.*other"):
        crossing("other").generate("hello there", language="en")


def test_wrong_input_never_crosses(crossing):
    """It is wrong for everybody, and raised before any work."""
    with pytest.raises(errors.BlankText):
        crossing("good").generate("  ")


def test_an_unknown_name_is_refused_at_once(crossing):
    """When the provider is made, not when it is needed."""
    with pytest.raises(errors.UnknownProvider, match="fallback 'godo'"):
        crossing("godo")


@pytest.mark.parametrize("value", ["good, other", " good,other ", ("good", "other"), ["good", "other"]])
def test_names_from_everywhere(value, monkeypatch, open_provider):
    """In a string, as the environment has them, or a list, as a file does; it alone is no fallback of its own."""
    assert open_provider(GOOD, fallback=value).settings.fallback == ("good", "other")
    if isinstance(value, str):
        monkeypatch.setenv("REALTTS_FALLBACK", value)
        assert open_provider(GOOD).settings.fallback == ("good", "other")


def test_unload_forgets(crossing):
    """The attempt is gone, and the next request tries the provider itself again."""
    tts = crossing("good")
    tts.generate("hello there")
    tts.unload()
    assert tts.get_provider_status()["attempts"] == []
    check(tts.generate("hello there", seed=3))


def test_close_closes_both(crossing):
    """A request after it is a typed error."""
    tts = crossing("good")
    tts.generate("hello there")
    tts.close()
    with pytest.raises(errors.ProviderClosed):
        tts.generate("hello there")


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({"dtype": "float32"}, None),
        ({"precision_policy": "exact"}, None),
        ({"quantization": "none"}, None),
        ({}, Settings(dtype="float32", tf32=True)),
        ({"matmul_precision": "highest"}, Settings(dtype="bfloat16")),
    ],
)
def test_a_precision_that_is_named_holds_for_whoever_speaks(crossing, given, settings):
    """And what the environment says of this provider stays this provider's."""
    tts = crossing("good", settings=settings, **given)
    other = tts._crossing._providers["good"].settings
    for name in ("dtype", "quantization", "precision_policy", "tf32", "matmul_precision"):
        assert getattr(other, name) == getattr(tts.settings, name)
    assert tts.generate("hello there").provider == "good"


def test_other_precisions_are_each_providers_own(crossing, monkeypatch):
    """From a file or the environment, which may say something else of each."""
    monkeypatch.setenv("CHATTERBOX_DTYPE", "bfloat16")
    tts = crossing("good")
    assert tts._crossing._providers["good"].settings.dtype == "auto"
