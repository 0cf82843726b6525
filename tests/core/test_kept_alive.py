"""Dropping the last reference of a stream cancels it, whatever others keep; errors keep no work alive."""

import asyncio
import contextlib
import gc
import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest

from realtts import Chunk, ProviderSpec, RealProvider, Voice, errors, hookimpl
from realtts.provider.calls import CallArguments
from realtts.testing import fake_spec, faults, faulty

LONG = "a " * 400


@pytest.fixture
def make():
    """Makes providers that are closed at the end."""
    made = []

    def make(spec=None, **settings):
        made.append(RealProvider(spec or fake_spec(), **settings))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture(autouse=True)
def _counted():
    """Nothing here may need the collector of cycles."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def caught(call):
    """The error of a call, with its traceback."""
    with pytest.raises(errors.RealTTSError) as info:
        call()
    return info.value


def in_thread(call):
    """The error of a call in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(caught, call).result()


def full(tts):
    """`Busy` since the queue is full."""
    waiting = threading.Thread(target=lambda: contextlib.suppress(errors.RealTTSError).__enter__() or tts.generate("x"))
    waiting.start()
    while not tts.get_provider_status()["queue"]["waiting"]:
        pass
    error = in_thread(lambda: tts.generate("y"))
    assert isinstance(error, errors.Busy)
    return error, waiting


def late(tts):
    """`Busy` since the turn did not come."""
    return in_thread(lambda: tts.generate("y")), None


def wrong(tts):
    """An input error."""
    return in_thread(lambda: tts.generate("y", delay_s=-1)), None


def blocked(tts):
    """`WouldDeadlock` of another thread that reads a stream of its own."""

    def read():
        mine = tts.stream("z")
        mine._begin()
        error = caught(lambda: tts.generate("y"))
        mine.close()
        return error

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(read).result(), None


def mine(tts):
    """`WouldDeadlock` of the stream's own reader."""
    return caught(lambda: tts.generate("y")), None


@pytest.mark.parametrize("reason", [full, late, wrong, blocked, mine])
def test_kept_error_keeps_no_stream(make, reason):
    """The stream goes with its last reference, and the next request is served at once."""
    tts = make(queue_size=1 if reason is full else 8, queue_timeout_s=0.2 if reason is late else 60, stream_buffer=2)
    stream = tts.stream(LONG, delay_s=0.02)
    next(stream)
    kept, waiting = reason(tts)
    gone = weakref.ref(stream)
    del stream
    assert gone() is None
    if waiting is not None:
        waiting.join(20)
        assert not waiting.is_alive()
    assert tts.generate("z").duration
    assert isinstance(kept, errors.RealTTSError)


def test_kept_by_whoever_keeps_it(make):
    """In a cause, in a group's place, in a log record: it makes no difference."""
    tts = make(queue_size=8, queue_timeout_s=0.5, stream_buffer=2)
    stream = tts.stream(LONG, delay_s=0.02)
    next(stream)
    kept = []

    class Keeping(logging.Handler):
        def emit(self, record):
            kept.append(record)

    log = logging.getLogger("kept")
    log.addHandler(handler := Keeping())
    try:
        for _ in range(2):
            error = in_thread(lambda: tts.generate("y"))
            log.error("it failed", exc_info=error)
            outer = RuntimeError("outer")
            outer.__cause__ = outer.__context__ = error
            kept.append(outer)
    finally:
        log.removeHandler(handler)
    gone = weakref.ref(stream)
    del stream
    assert gone() is None
    assert tts.generate("z").duration


def test_reader_that_holds_its_stream(make):
    """A thread whose object holds the stream, and a task: no circle keeps it."""
    tts = make(stream_buffer=2)

    class Reader(threading.Thread):
        """Reads a little."""

        def __init__(self):
            super().__init__()
            self.stream = tts.stream(LONG, delay_s=0.02)

        def run(self):
            """Read one chunk."""
            next(self.stream)

    reader = Reader()
    reader.start()
    reader.join()
    gone = weakref.ref(reader.stream)
    del reader
    assert gone() is None

    async def read():
        holder = {"stream": tts.stream(LONG, delay_s=0.02)}
        await holder["stream"].anext()
        asyncio.current_task().holder = holder
        return weakref.ref(holder["stream"])

    class Task(asyncio.Task):
        """A task that may hold something."""

    async def main():
        task = Task(read(), loop=asyncio.get_running_loop())
        gone = await task
        del task.holder
        return gone

    gone = asyncio.run(main())
    assert gone() is None
    assert tts.generate("z").duration


@pytest.mark.parametrize("text", ["a", "a b", "one two three", "A sentence. Another one.", "x " * 30])
def test_last_chunk_is_the_end(make, text):
    """Whoever stops at the finish reason has read the stream, though the reference is still there."""
    tts = make()
    stream = tts.stream(text)
    for chunk in stream:
        if chunk.finish_reason is not None:
            break
    assert not stream.open
    assert tts.generate("z").duration
    assert list(stream) == []


class Seen:
    """Something that can be seen to go away."""


class Holding:
    """Fails while its frame holds a model and the request's voice."""

    models: ClassVar[list] = []
    error = RuntimeError

    @hookimpl
    def load(self, context):
        """Load."""
        model = Seen()
        self.models.append(weakref.ref(model))
        return model

    @hookimpl
    def generate(self, context, model, request):
        """Fail."""
        mine = (model, request)
        yield Chunk(np.full(10, 0.1, np.float32), 8000)
        raise self.error(f"failed with {len(mine)}")


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("error", [RuntimeError, SystemExit, errors.InvalidText])
def test_error_keeps_neither_model_nor_voice(make, monkeypatch, strict, error):
    """A kept error of a failed request holds the text of the traceback, and nothing that was worked with."""
    monkeypatch.setattr(faults, "Holding", Holding, raising=False)
    monkeypatch.setattr(Holding, "models", [])
    monkeypatch.setattr(Holding, "error", lambda self, text: error(text), raising=False)
    spec = ProviderSpec(
        name="holding",
        summary="x",
        sample_rates=(8000,),
        plain=f"{faults.__name__}:Holding",
        capabilities=frozenset({"clone"}),
    )
    tts = make(spec, strict=strict)

    def fail():
        samples = np.sin(np.arange(16_000, dtype=np.float32)) * 0.3
        voice = Voice(samples=samples, sample_rate=8000)
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(kept_error, voice).result(), weakref.ref(voice)

    def kept_error(voice):
        calls = tts._calls
        arguments = CallArguments(voice, None, None, 1, 1.0, None, False, None, None, "interactive", {})
        job = calls.job([calls.plan("hello", calls.ask(arguments))])
        tts._turn.take(job)
        return job.future.exception()

    kept, voice = fail()
    assert kept is not None
    tts.unload()
    assert Holding.models
    assert all(model() is None for model in Holding.models)
    assert voice() is None


def test_errors_of_the_ladder_keep_no_rung(make):
    """After a failure, the model of the failed rung is gone though the error is kept."""
    tts = make(faulty(fake_spec(), "generate", variant="plain", after=1), optimize=False)
    kept = caught(lambda: tts.generate("a b c"))
    assert kept.attempts
    tts.unload()
    assert tts.get_provider_status()["state"] == "unloaded"
