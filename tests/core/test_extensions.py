"""Extensions see every provider: in name order, each fed the previous one's result."""

from dataclasses import replace

import numpy as np
import pytest

from realtts import Chunk, ExtensionError, InvalidPlugin, RealProvider, RealTTSError
from realtts.errors import BlankText, InvalidText
from realtts.provider import facade
from realtts.registry.extensions import Extensions, discover_extensions
from realtts.testing import fake_spec


@pytest.fixture
def use(monkeypatch):
    """Makes a provider with these extensions installed."""
    made = []

    def use(**named):
        monkeypatch.setattr(facade, "discover_extensions", lambda: Extensions(named))
        provider = RealProvider(fake_spec())
        made.append(provider)
        return provider

    yield use
    for provider in made:
        provider.close()


class Spell:
    """Rewrites text."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def prepare_text(self, text, language):
        """Replace."""
        return text.replace(self.old, self.new)


class Gain:
    """Changes loudness."""

    def __init__(self, factor):
        self.factor = factor

    def process_audio(self, chunk, request):
        """Scale."""
        return replace(chunk, samples=chunk.samples * np.float32(self.factor))


class Listener:
    """Keeps events."""

    def __init__(self):
        self.events = []

    def on_event(self, event):
        """Keep."""
        self.events.append(event)


class Method:
    """An extension with one method that behaves as told."""

    def __init__(self, **methods):
        self.__dict__.update(methods)


def test_text_goes_through_in_name_order(use):
    """The second sees what the first made of it, and marks span the caller's own words."""
    provider = use(b=Spell("two", "zwei drei"), a=Spell("one", "two"))
    speech = provider.generate("say one now")
    assert speech.text == "say one now"
    assert speech.duration == pytest.approx(0.4)
    assert [speech.text[slice(*mark.span)] for mark in speech.marks] == ["say", "one", "one", "now"]


def test_audio_goes_through_in_name_order(use):
    """What the caller gets has passed every extension, in streams too."""
    with RealProvider(fake_spec()) as plain:
        expected = plain.generate("Hello there", seed=1).samples * 0.25
    provider = use(loud=Gain(0.5), softer=Gain(0.5))
    assert np.allclose(provider.generate("Hello there", seed=1).samples, expected)
    streamed = np.concatenate([chunk.samples for chunk in provider.stream("Hello there", seed=1)])
    assert np.allclose(streamed, expected)


def test_events_reach_every_listener(use):
    """Stages, rungs and requests are told, with the provider's name."""
    listener = Listener()
    provider = use(listener=listener)
    provider.generate("Hello")
    provider.unload()
    names = [event.name for event in listener.events]
    assert {"stage.started", "stage.finished", "rung.ready", "request.started", "request.finished", "unloaded"} <= set(
        names
    )
    assert {event.provider for event in listener.events} == {"fake"}


def test_every_request_is_told_from_start_to_end(use):
    """Whole, streamed, abandoned and failed ones."""
    listener = Listener()
    provider = use(listener=listener)

    def endings():
        found = [(event.name, event.data.get("finish_reason")) for event in listener.events if "request" in event.name]
        listener.events.clear()
        return found

    provider.generate_batch(["One", "Two"])
    assert endings() == [("request.started", None), ("request.finished", "stop"), ("request.finished", "stop")]
    list(provider.stream("One two"))
    assert endings() == [("request.started", None), ("request.finished", "stop")]
    with provider.stream("word " * 500, delay_s=0.01) as stream:
        next(stream)
    provider.generate("Hello")
    assert endings()[:2] == [("request.started", None), ("request.finished", "cancelled")]
    with pytest.raises(RealTTSError):
        provider.generate("Hello", silent=True)
    assert endings() == [("request.started", None), ("request.failed", None)]


def test_error_in_on_event_harms_nobody(use, caplog):
    """It is logged; the speech comes, and other listeners hear."""

    def fail(event):
        raise RuntimeError("listener is broken")

    listener = Listener()
    provider = use(a=Method(on_event=fail), b=listener)
    assert provider.generate("Hello").duration > 0
    assert listener.events
    assert "listener is broken" in caplog.text


FAILING = {
    "prepare_text raises": Method(prepare_text=lambda text, language: 1 / 0),
    "prepare_text returns None": Method(prepare_text=lambda text, language: None),
    "process_audio raises": Method(process_audio=lambda chunk, request: 1 / 0),
    "process_audio returns an array": Method(process_audio=lambda chunk, request: chunk.samples),
    "process_audio changes the rate": Method(
        process_audio=lambda chunk, request: Chunk(chunk.samples, chunk.sample_rate * 2)
    ),
}


@pytest.mark.parametrize("case", FAILING, ids=str)
def test_failing_extension_is_named_and_no_rung_is_lost(use, case):
    """The error names the extension and its method; the provider is not blamed."""
    provider = use(spoiler=FAILING[case])
    with pytest.raises(ExtensionError, match="spoiler") as caught:
        provider.generate("Hello")
    assert case.split()[0] in caught.value.who
    with pytest.raises(ExtensionError):
        list(provider.stream("Hello"))
    assert provider.get_provider_status()["attempts"] == []


def test_prepared_text_is_checked_again(use):
    """An extension that leaves nothing to say causes the usual error."""
    with pytest.raises(BlankText):
        use(eraser=Spell("Hello", " ")).generate("Hello")
    with pytest.raises(InvalidText, match="NUL"):
        use(poison=Spell("Hello", "\0")).generate("Hello")


def test_typed_errors_of_an_extension_pass(use):
    """An extension may refuse a text in the library's own words."""

    def refuse(text, language):
        raise BlankText("nothing is left of it", who="filter", fix="write something else")

    with pytest.raises(BlankText, match="filter"):
        use(filter=Method(prepare_text=refuse)).generate("Hello")


@pytest.mark.parametrize(
    ("extension", "what"),
    [
        (Method(), "none of the extension methods"),
        (Method(prepare_text=lambda text: text), "'language' is missing"),
        (Method(on_event=lambda event, extra: None), "extra"),
        (Method(process_audio=lambda chunk, *, request: chunk), "keyword-only"),
    ],
    ids=["nothing", "fewer", "extra", "keyword-only"],
)
def test_wrong_signature_is_found_at_once(extension, what):
    """Extensions are checked when they are found."""
    with pytest.raises(InvalidPlugin, match=what):
        Extensions({"x": extension})


def test_discovery_leaves_out_what_is_broken(tmp_path, monkeypatch, caplog):
    """One extension that cannot be imported is logged; the others are used, classes being instantiated."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "ext_good.py").write_text("class Quiet:\n    def on_event(self, event):\n        pass\n")
    (tmp_path / "ext_bad.py").write_text("raise RuntimeError('broken extension')\n")
    for name, target in (("good", "ext_good:Quiet"), ("bad", "ext_bad:Loud")):
        info = tmp_path / f"ext_{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ext-{name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[realtts.extensions]\n{name} = {target}\n")
    assert "good" in discover_extensions().names()
    assert "bad" not in discover_extensions().names()
    assert "broken extension" in caplog.text
