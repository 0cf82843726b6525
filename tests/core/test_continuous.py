"""Requests of many callers that share the places of one model: each as if it were alone."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import ClassVar

import numpy as np
import pytest
from waiting import until

from realtts import Chunk, errors, hookimpl
from realtts.contract.continuous import RowEnd, RowFailed
from realtts.testing import ContinuousFakeProvider, FastFakeProvider, fake_spec, faulty

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu"
LONG = " ".join(f"word{n}" for n in range(300))


def spec_of(variant, **changes):
    """The fake provider with an optimized variant of this module."""
    return fake_spec(optimized=f"{variant.__module__}:{variant.__qualname__}", **changes)


@pytest.fixture
def make(open_provider):
    """Makes providers, of the fake with rows if no spec is given."""

    def make(spec=None, **settings):
        return open_provider(spec or spec_of(ContinuousFakeProvider), **settings)

    return make


def text_of(number):
    """A text of 1 to 12 words."""
    return " ".join(WORDS.split()[: 1 + number % 12])


class Steps(ContinuousFakeProvider):
    """Notes how many rows each step has, and waits for the test where it asks for that."""

    rows: ClassVar[list[int]] = []
    gate = threading.Event()

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Yield a word of every row in turn."""
        running = {}
        while True:
            Steps.gate.wait(20)
            for arrival in arrivals.take(context.spec.batch_size - len(running)):
                running[arrival.number] = super().generate(context, model, arrival.request)
            if not running:
                return
            Steps.rows.append(len(running))
            yield None
            for number, tones in list(running.items()):
                chunk = next(tones, None)
                if chunk is None:
                    del running[number]
                yield number, RowEnd() if chunk is None else chunk


@pytest.fixture
def steps():
    """The class that notes its steps, with its gate open."""
    Steps.rows = []
    Steps.gate.set()
    yield Steps
    Steps.gate.set()


def test_many_callers_get_what_each_would_get_alone(make):
    """Mixed lengths, voices and seeds, whole and streamed, some cancelled: the others are not touched."""
    tts = make(queue_size=500)
    alone = {n: tts.generate(text_of(n), seed=n, voice=("low", "high")[n % 2]).samples for n in range(24)}

    def ask(number):
        rng = random.Random(number)
        time.sleep(rng.random() * 0.02)
        n, way = number % 24, rng.choice(["whole", "whole", "stream", "cancelled"])
        arguments = {"seed": n, "voice": ("low", "high")[n % 2]}
        if way == "whole":
            return np.array_equal(tts.generate(text_of(n), **arguments).samples, alone[n])
        if way == "stream":
            chunks = [chunk.samples for chunk in tts.stream(text_of(n), **arguments)]
            return np.array_equal(np.concatenate(chunks), alone[n])
        with tts.stream(LONG, **arguments) as stream:
            return next(stream).duration > 0

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(ask, range(160), timeout=120))
    assert tts.get_provider_status()["attempts"] == []


def test_requests_share_the_steps(make, steps):
    """Eight requests that come together are eight rows of each step."""
    tts = make(spec_of(steps, batch_size=8))
    tts.load()
    steps.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(tts.generate, text_of(11), seed=n) for n in range(8)]
        until(
            lambda: tts.get_provider_status()["queue"]["waiting"] + tts.get_provider_status()["queue"]["running"] == 8
        )
        steps.gate.set()
        wait(futures, 60)
    assert max(steps.rows) == 8


@pytest.mark.parametrize(("batch_size", "max_batch", "most"), [(8, None, 8), (8, 3, 3), (2, 5, 2), (4, 1, 1)])
def test_places_are_bounded(make, steps, batch_size, max_batch, most):
    """By the spec's batch_size and the setting max_batch, whichever is less."""
    tts = make(spec_of(steps, batch_size=batch_size), **({} if max_batch is None else {"max_batch": max_batch}))
    with ThreadPoolExecutor(10) as pool:
        wait([pool.submit(tts.generate, text_of(11), seed=n) for n in range(10)], 60)
    assert max(steps.rows) <= most


def test_book_leaves_half_of_the_places(make, steps):
    """A request with pieces that wait never holds more than half, so that others join at the next step."""
    tts = make(spec_of(steps, batch_size=8, max_chars=20))
    book = " ".join(f"Sentence number {n}." for n in range(40))
    assert tts.generate(book, seed=1).duration > 0
    assert max(steps.rows[:-4]) <= 4


def test_short_request_overtakes_a_book(make):
    """It is done long before the book is."""
    tts = make(spec_of(ContinuousFakeProvider, batch_size=2, max_chars=20))
    book = " ".join(f"Sentence number {n}." for n in range(60))
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(tts.generate, book, seed=1, delay_s=0.005)
        until(lambda: tts.get_provider_status()["queue"]["running"] == 1)
        assert tts.generate("Hello there", seed=2).duration > 0
        assert not long.done()
        tts.cancel()
        long.result(60)


def test_unread_stream_holds_nobody_up(make):
    """A reader that does not read costs the others nothing, and finds its audio complete."""
    tts = make(spec_of(ContinuousFakeProvider, batch_size=1, max_chars=40), stream_buffer=2)
    stream = tts.stream(LONG, seed=1)
    first = next(stream)
    with ThreadPoolExecutor(1) as pool:
        for seed in range(5):
            assert pool.submit(tts.generate, "Hello", seed=seed).result(timeout=30).duration > 0
    samples = np.concatenate([first.samples, *(chunk.samples for chunk in stream)])
    assert np.array_equal(samples, tts.generate(LONG, seed=1).samples)


class Odd(ContinuousFakeProvider):
    """Does to rows what their texts say."""

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Fail rows, or everything."""
        running = {}
        while True:
            for arrival in arrivals.take(8 - len(running)):
                running[arrival.number] = (arrival.request, super().generate(context, model, arrival.request))
            if not running:
                return
            yield None
            for number, (request, tones) in list(running.items()):
                word = request.text.split()[0]
                if word == "unspeakable":
                    del running[number]
                    yield number, RowFailed(errors.UnspeakableText("no", who="odd", fix="say something else"))
                    continue
                if word == "broken":
                    del running[number]
                    yield number, RowFailed(ValueError("this row is broken"))
                    continue
                if word == "fatal":
                    raise ValueError("everything is broken")
                if word == "greedy" and len(running) > 2:
                    del running[number]
                    yield number, RowFailed(MemoryError("out of memory"))
                    continue
                chunk = next(tones, None)
                if chunk is None:
                    del running[number]
                yield number, RowEnd() if chunk is None else chunk


def together(tts, *texts, **arguments):
    """The results or errors of texts that are asked for at once."""
    with ThreadPoolExecutor(len(texts)) as pool:
        futures = [pool.submit(tts.generate, text, seed=n, **arguments) for n, text in enumerate(texts)]
        wait(futures, 60)
    return [future.exception() or future.result() for future in futures]


@pytest.mark.parametrize("repeat", range(3))
def test_wrong_request_fails_alone(make, repeat):
    """Its caller gets the typed error, the others their speech; no rung is given up."""
    tts = make(spec_of(Odd))
    results = together(tts, "one two three four", "unspeakable", "five six", "seven", "unspeakable too")
    assert [type(each) is errors.UnspeakableText for each in results] == [False, True, False, False, True]
    assert [each.duration > 0 for each in results if not isinstance(each, Exception)] == [True] * 3
    assert tts.get_provider_status()["attempts"] == []


@pytest.mark.parametrize("word", ["broken", "fatal"])
def test_row_that_breaks_the_rung_is_found(make, word):
    """It is tried by itself, then on the plain variant; the others are spoken with their seeds, and nothing is lost."""
    tts = make(spec_of(Odd))
    alone = [make().generate(text_of(n), seed=n + 1).samples for n in range(4)]
    results = together(tts, f"{word} text", *(text_of(n) for n in range(4)))
    assert not [each for each in results if isinstance(each, Exception)]
    assert all(np.array_equal(each.samples, right) for each, right in zip(results[1:], alone, strict=True))
    assert [attempt["stage"] for attempt in tts.get_provider_status()["attempts"]] == ["generate"]


def test_out_of_memory_admits_fewer(make):
    """A row that found no memory is spoken once others have left; the rung stays."""
    tts = make(spec_of(Odd))
    results = together(tts, LONG, LONG, "greedy text", LONG)
    assert [each.duration > 0 for each in results] == [True] * 4
    assert tts.get_provider_status()["attempts"] == []


@pytest.mark.parametrize("after", [0, 1, 5, 17])
def test_rung_that_fails_in_the_middle(make, after):
    """Whole speeches are spoken again by themselves, and on the lower rung if that fails too, each with its seed."""
    tts = make(faulty(spec_of(ContinuousFakeProvider), "generate", after=after))
    alone = [make().generate(text_of(n), seed=n).samples for n in range(6)]
    results = together(tts, *(text_of(n) for n in range(6)))
    assert all(np.array_equal(each.samples, right) for each, right in zip(results, alone, strict=True))
    assert tts.get_provider_status()["variant"] == ("optimized" if after > 6 else "plain")


def broken(function):
    """A variant whose generate_continuous is this function."""
    name = f"Broken_{function.__name__}"
    globals()[name] = type(name, (ContinuousFakeProvider,), {"generate_continuous": hookimpl(function)})
    return globals()[name]


def never_takes(self, context, model, arrivals):
    """Return at once."""
    yield from ()


def idles(self, context, model, arrivals):
    """Yield None for ever."""
    while True:
        yield None


def forgets_the_end(self, context, model, arrivals):
    """Return with a row."""
    arrivals.take(8)
    yield None


def unknown_row(self, context, model, arrivals):
    """Speak a row that nobody has asked for."""
    (arrival, *_) = arrivals.take(8)
    yield arrival.number + 1000, RowEnd()


def no_pair(self, context, model, arrivals):
    """Yield a chunk without its row."""
    arrivals.take(8)
    yield Chunk(np.ones(100, np.float32), 16_000)


def no_number(self, context, model, arrivals):
    """Name a row by its text."""
    (arrival, *_) = arrivals.take(8)
    yield arrival.request.text, RowEnd()


def without_audio(self, context, model, arrivals):
    """End rows without audio."""
    while taken := arrivals.take(8):
        for arrival in taken:
            yield arrival.number, RowEnd()


@pytest.mark.parametrize(
    "function",
    [never_takes, idles, forgets_the_end, unknown_row, no_pair, no_number, without_audio],
    ids=lambda function: function.__name__,
)
def test_hook_that_breaks_the_contract(make, function):
    """The rung is given up with a reason that names the fault, and the plain variant speaks."""
    tts = make(spec_of(broken(function)))
    assert tts.generate("Hello there", seed=1).duration > 0
    assert tts.generate("Hello there", seed=1).duration > 0
    (attempt,) = tts.get_provider_status()["attempts"]
    assert attempt["exception"] == "realtts.errors.InvalidChunk"
    assert attempt["remedy"]


class Choosy(ContinuousFakeProvider):
    """Takes long texts only while nothing else is there."""

    order: ClassVar[list[str]] = []

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Speak short rows beside each other."""
        running = {}
        while True:
            fits = lambda arrival: len(arrival.request.text) < 50 or not running  # noqa: E731
            for arrival in arrivals.take(2 - len(running), fits):
                Choosy.order.append(arrival.request.text[:4])
                running[arrival.number] = super().generate(context, model, arrival.request)
            if not running:
                return
            yield None
            for number, tones in list(running.items()):
                chunk = next(tones, None)
                if chunk is None:
                    del running[number]
                yield number, RowEnd() if chunk is None else chunk


def test_row_that_does_not_fit_is_not_overtaken_for_ever(make):
    """At most eight others join before it."""
    Choosy.order = []
    tts = make(spec_of(Choosy, batch_size=2), queue_size=200)
    short = [f"s{n:03} is short but not very" for n in range(40)]
    results = together(tts, *short[:3], LONG, *short[3:], delay_s=0.002)
    assert all(each.duration > 0 for each in results)
    assert Choosy.order.index("word") < 41


def test_model_is_at_rest_for_functions(make):
    """load, voices and unload work between rows while requests come and go, and lose none."""
    tts = make(queue_size=500)
    stop = threading.Event()

    def keep_asking():
        count = 0
        while not stop.is_set():
            assert tts.generate(text_of(count), seed=count).duration > 0
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(keep_asking) for _ in range(4)]
        for _ in range(5):
            assert [voice.id for voice in tts.voices()][:2] == ["low", "high"]
            tts.unload()
            tts.load()
        stop.set()
        assert all(future.result(60) > 0 for future in futures)


class Batches(FastFakeProvider):
    """Notes what was spoken together by `generate_batch`."""

    together: ClassVar[list[list[tuple[str, bool]]]] = []

    @hookimpl
    def generate_batch(self, context, model, requests):
        """Yield the rows' words in turn."""
        Batches.together.append([(request.text, request.streaming) for request in requests])
        return super().generate_batch(context, model, requests)


@pytest.mark.parametrize(("dtype", "shared"), [("float32", True), ("bfloat16", False), ("float16", False)])
def test_calls_share_batches_in_float32_alone(make, dtype, shared):
    """In lower precision a row's tokens may depend on its neighbours, and a seed must repeat its speech."""
    Batches.together = []
    tts = make(spec_of(Batches), dtype=dtype).load()
    results = together(tts, LONG, "one two", "three four", "five six", delay_s=0.001)
    assert all(each.duration > 0 for each in results)
    assert any(len(rows) > 1 for rows in Batches.together) == shared
    assert tts.generate_batch(["a b", "c d", "e f"], seed=1)
    assert [text for text, _ in Batches.together[-1]] == ["a b", "c d", "e f"]


def test_streams_are_in_no_batch(make):
    """Their first audio would come late: they take turns with the batches, piece by piece."""
    Batches.together = []
    tts = make(spec_of(Batches, max_chars=20)).load()
    book = " ".join(f"Sentence number {n}." for n in range(12))

    def ask(number):
        if number % 2:
            return sum(chunk.duration for chunk in tts.stream(book, seed=number))
        return tts.generate(book, seed=number).duration

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(6), timeout=60))
    assert not any(streaming for rows in Batches.together for _, streaming in rows)
    assert any(len(rows) > 1 for rows in Batches.together)
