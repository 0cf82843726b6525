"""A request has `request_timeout_s` from when it begins to run; its caller gets a typed error, the next is served."""

import asyncio
import threading
from typing import ClassVar

import numpy as np
import pytest

from realtts import Chunk, ProviderSpec, RealProvider, Settings, errors, hookimpl
from realtts.testing import fake_spec, faults

LIMIT = 0.15


@pytest.fixture
def make():
    """Makes providers that are closed at the end."""
    made = []

    def make(spec=None, **settings):
        made.append(RealProvider(spec or fake_spec(), **{"request_timeout_s": LIMIT, **settings}))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


def generate(tts, **options):
    """Whole speech."""
    tts.generate("a " * 100, **options)


def batch(tts, **options):
    """Several texts in one turn: one request."""
    tts.generate_batch(["a " * 50] * 2, **options)


def stream(tts, **options):
    """A stream that is read as it comes."""
    list(tts.stream("a " * 100, **options))


def agenerate(tts, **options):
    """Awaited."""
    asyncio.run(tts.agenerate("a " * 100, **options))


def astream(tts, **options):
    """Awaited chunk by chunk."""

    async def main():
        async for _ in tts.astream("a " * 100, **options):
            pass

    asyncio.run(main())


EVERY_WAY = pytest.mark.parametrize("call", [generate, batch, stream, agenerate, astream])


@EVERY_WAY
def test_every_way_of_asking(make, call):
    """The error names the setting; the provider stands as it stood, and serves the next request."""
    tts = make().load()
    with pytest.raises(errors.RequestTimeout, match=f"request_timeout_s={LIMIT:g}") as caught:
        call(tts, delay_s=0.05)
    assert caught.value.who == "provider 'fake'"
    assert "request_timeout_s" in caught.value.fix
    status = tts.get_provider_status()
    assert (status["variant"], status["attempts"]) == ("optimized", [])
    assert tts.generate("a").duration


class Deaf:
    """Looks at nothing until it is let go."""

    entered = threading.Event()
    release = threading.Event()
    cancelled: ClassVar[list] = []

    @hookimpl
    def load(self, context):
        """Load."""
        return object()

    @hookimpl
    def generate(self, context, model, request):
        """Wait, and speak."""
        if request.text == "wait":
            self.entered.set()
            self.release.wait(20)
            self.cancelled.append(request.cancelled())
        yield Chunk(np.full(800, 0.1, np.float32), 8000)


@pytest.mark.parametrize("way", ["generate", "stream", "agenerate", "astream", "batch"])
def test_provider_that_never_looks(make, monkeypatch, way):
    """The caller is told in time; the rung is busy until the provider returns, and then goes on."""
    monkeypatch.setattr(faults, "Deaf", Deaf, raising=False)
    Deaf.entered.clear(), Deaf.release.clear(), Deaf.cancelled.clear()
    spec = ProviderSpec(name="deaf", summary="x", sample_rates=(8000,), plain=f"{faults.__name__}:Deaf")
    tts = make(spec).load()

    async def read():
        async for _ in tts.astream("wait"):
            pass

    calls = {
        "generate": lambda: tts.generate("wait"),
        "stream": lambda: list(tts.stream("wait")),
        "agenerate": lambda: asyncio.run(tts.agenerate("wait")),
        "astream": lambda: asyncio.run(read()),
        "batch": lambda: tts.generate_batch(["wait"]),
    }
    with pytest.raises(errors.RequestTimeout):
        calls[way]()
    assert Deaf.entered.is_set()
    assert not Deaf.release.is_set()
    assert tts.get_provider_status()["queue"]["running"] == 1
    Deaf.release.set()
    tts.unload()  # behind it in the queue
    assert Deaf.cancelled == [True]
    assert tts.get_provider_status()["attempts"] == []


def test_waiting_does_not_count(make):
    """The clock begins when the request begins to run: the queue has a limit of its own."""
    tts = make(request_timeout_s=1.5, optimize=False).load()  # one at a time
    done = []
    first = threading.Thread(target=lambda: done.append(tts.generate("a " * 8, delay_s=0.1)))
    second = threading.Thread(target=lambda: done.append(tts.generate("a " * 8, delay_s=0.1)))
    first.start(), second.start()
    first.join(), second.join()
    assert len(done) == 2


def test_slow_reader_does_not_count(make):
    """While the buffer waits for the reader the clock rests."""
    tts = make(request_timeout_s=0.5, stream_buffer=1).load()
    with tts.stream("a b c d e f") as chunks:
        next(chunks)
        threading.Event().wait(0.8)
        assert len(list(chunks)) >= 4


def test_what_was_spoken_in_time_is_read_first(make):
    """The reader of a stream gets the chunks, then the error."""
    tts = make(stream_buffer=100).load()
    heard = []
    with pytest.raises(errors.RequestTimeout):
        heard.extend(iter(tts.stream("a " * 100, delay_s=0.05)))
    assert heard


def test_caller_who_has_cancelled_gets_no_error(make):
    """Cancelling comes first: the speech is cancelled, not late."""
    tts = make(request_timeout_s=5.0).load()
    result = []
    thread = threading.Thread(target=lambda: result.append(tts.generate("a " * 400, delay_s=0.02)))
    thread.start()
    while tts.get_provider_status()["state"] != "generating":
        pass
    while not tts.cancel():
        pass
    thread.join()
    assert result[0].finish_reason == "cancelled"


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "soon", 1e12])
def test_values_that_are_no_time(value):
    """Refused by name."""
    with pytest.raises(errors.SettingsError, match="request_timeout_s"):
        Settings(request_timeout_s=value)


@pytest.mark.parametrize("call", [generate, stream])
def test_without_a_limit(make, call):
    """0, the default: any time."""
    assert Settings().request_timeout_s == 0
    call(make(request_timeout_s=0), delay_s=0.0)
