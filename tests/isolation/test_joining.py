"""Rows that join and leave in a worker: each as if it were alone, and as in process."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import ClassVar

import numpy as np
import pytest
from thread_worker import ThreadWorker

from realtts import RealProvider, errors, hookimpl
from realtts.bench import Load, Text, Workload, run_load
from realtts.contract.continuous import RowEnd, RowFailed
from realtts.contract.timing import timed
from realtts.isolation.row_clocks import RowClocks
from realtts.testing import ContinuousFakeProvider, FastFakeProvider, fake_spec
from realtts.wire import calls
from realtts.wire.calls import Setup, Speak
from realtts.wire.channel import Kind
from realtts.wire.messages import RequestMessage, to_json
from realtts.wire.rows import RowMessage
from realtts.wire.specs import spec_to_json

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu"
LONG = " ".join(f"word{n}" for n in range(150))


def spec_of(variant, **changes):
    """The fake provider with an optimized variant of this module."""
    return fake_spec(optimized=f"{variant.__module__}:{variant.__qualname__}", **changes)


def text_of(number):
    """A text of 1 to 12 words."""
    return " ".join(WORDS.split()[: 1 + number % 12])


class Stepping(ContinuousFakeProvider):
    """Makes a step when the test lets it, and notes the rows of each; does what a text or an option asks for."""

    steps: ClassVar[list[tuple[int, ...]]] = []
    texts: ClassVar[dict[int, str]] = {}
    gate = threading.Event()
    on_step: ClassVar = None

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Yield a word of every row in turn."""
        running = {}
        while True:
            Stepping.gate.wait(20)
            for arrival in arrivals.take(context.spec.batch_size - len(running)):
                Stepping.texts[arrival.number] = arrival.request.text
                running[arrival.number] = super().generate(context, model, arrival.request)
            if not running:
                return
            Stepping.steps.append(tuple(running))
            if Stepping.on_step is not None:
                Stepping.on_step(dict(running))
            with timed(context, "decode", rows=running, steps=1):
                chunks = {number: next(tones, None) for number, tones in running.items()}
            for number, chunk in chunks.items():
                if chunk is None:
                    del running[number]
                if "refused" in Stepping.texts[number] and number in running:
                    del running[number]
                    yield number, RowFailed(errors.UnspeakableText("not that", who="fake", fix="say something else"))
                elif "broken" in Stepping.texts[number] and number in running:
                    del running[number]
                    yield number, RowFailed(OSError("the row broke"))
                else:
                    yield number, RowEnd() if chunk is None else chunk
            yield None


@pytest.fixture
def stepping():
    """The class that makes a step when the test lets it."""
    Stepping.steps, Stepping.texts, Stepping.on_step = [], {}, None
    Stepping.gate.set()
    yield Stepping
    Stepping.on_step = None
    Stepping.gate.set()


@pytest.fixture
def make(monkeypatch, install):
    """Makes isolated providers whose workers are threads; closed at the end."""
    made, workers = [], []

    def start(environment):
        workers.append(ThreadWorker())
        return workers[-1]

    monkeypatch.setattr("realtts.isolation.client.WorkerProcess", start)

    def make(spec=None, **settings):
        spec = spec or spec_of(ContinuousFakeProvider)
        made.append(RealProvider(spec.name, data_dir=install(spec), isolation="always", **settings))
        return made[-1]

    make.workers = workers
    yield make
    for provider in made:
        provider.cancel()
        provider.close()


def test_many_callers_get_what_each_would_get_alone(make, tmp_path):
    """Mixed lengths, voices and seeds, whole and streamed, some cancelled: bit for bit as in process."""
    with RealProvider(fake_spec(), data_dir=tmp_path) as here:
        alone = {n: here.generate(text_of(n), seed=n, voice=("low", "high")[n % 2]).samples for n in range(24)}
    tts = make(queue_size=500)

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

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(ask, range(120), timeout=120))
    status = tts.get_provider_status()
    assert (status["attempts"], status["worker"]["starts"], status["worker"]["deaths"]) == ([], 1, 0)


def test_requests_join_while_others_are_spoken(make, stepping, until):
    """One that comes late stands in the same steps, and ends before the long one."""
    tts = make(spec_of(stepping, batch_size=4))
    seen = threading.Event()
    stepping.on_step = lambda rows: len(stepping.steps) > 3 and seen.set()
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(tts.generate, LONG, seed=1, delay_s=0.002)
        assert seen.wait(20)
        short = pool.submit(tts.generate, "alpha beta", seed=2, delay_s=0.002)
        short.result(20)
        assert not long.done()
        assert long.result(60).duration == pytest.approx(15.0)
    assert max(map(len, stepping.steps)) == 2
    assert len(stepping.steps[0]) == 1


@pytest.mark.parametrize(("batch_size", "max_batch", "most"), [(8, None, 8), (8, 3, 3), (2, 5, 2), (4, 1, 1)])
def test_places_are_those_of_the_worker(make, stepping, until, *, batch_size, max_batch, most):
    """No more rows are sent than are spoken at a time."""
    tts = make(spec_of(stepping, batch_size=batch_size), **({"max_batch": max_batch} if max_batch else {}))
    tts.load()
    stepping.gate.clear()
    with ThreadPoolExecutor(10) as pool:
        futures = [pool.submit(tts.generate, text_of(11), seed=n) for n in range(10)]
        until(lambda: sum(tts.get_provider_status()["queue"][key] for key in ("waiting", "running")) == 10)
        stepping.gate.set()
        wait(futures, 60)
        assert all(future.result().duration == pytest.approx(1.2) for future in futures)
    assert max(map(len, stepping.steps)) == most


def test_cancelling_one_frees_its_place_within_a_step(make, stepping):
    """The others go on; the next one joins."""
    tts = make(spec_of(stepping, batch_size=2))
    heard = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(tts.generate, LONG, seed=1, delay_s=0.001)
        with tts.stream(LONG, seed=2, delay_s=0.001) as stream:
            next(stream)
        steps = len(stepping.steps)
        assert tts.generate("alpha", seed=3).duration == pytest.approx(0.1)
        assert not other.done()
        heard.set()
        assert other.result(60).finish_reason == "stop"
    last = max(at for at, rows in enumerate(stepping.steps) if len(rows) == 2 and stepping.texts[rows[1]] == LONG)
    assert last - steps < 60  # the cancellation was seen, long before the 150 words were spoken


def test_slow_reader_holds_nobody(make):
    """A stream that nobody reads, and a request that ends meanwhile."""
    tts = make(stream_buffer=1)
    with ThreadPoolExecutor(1) as pool, tts.stream(text_of(11) + ". " + text_of(11), seed=1) as stream:
        next(stream)
        for seed in range(5):
            assert pool.submit(tts.generate, text_of(seed), seed=seed).result(20).duration > 0
        assert sum(chunk.duration for chunk in stream) > 2.0


def test_wrong_row_fails_alone(make, stepping, until):
    """With the plugin's own error, on the way to the provider or in it; the other rows are spoken."""
    tts = make(spec_of(stepping, batch_size=8))
    tts.load()
    stepping.gate.clear()
    with ThreadPoolExecutor(6) as pool:
        good = [pool.submit(tts.generate, text_of(n), seed=n) for n in range(4)]
        bad = pool.submit(tts.generate, "this is refused", seed=9)
        until(lambda: sum(tts.get_provider_status()["queue"][key] for key in ("waiting", "running")) == 5)
        stepping.gate.set()
        with pytest.raises(errors.UnspeakableText, match="not that"):
            bad.result(20)
        assert all(future.result(20).duration > 0 for future in good)
    assert tts.get_provider_status()["attempts"] == []


def test_row_that_fails_on_its_rung_is_spoken_on_the_next(make, stepping):
    """Once more by itself, then the rung is given up in the worker, with the reason."""
    tts = make(spec_of(stepping, batch_size=8))
    assert tts.generate("this is broken", seed=9).duration == pytest.approx(0.3)
    status = tts.get_provider_status()
    (attempt,) = status["attempts"]
    assert (attempt["rung"], attempt["stage"]) == ("optimized", "generate")
    assert "the row broke" in attempt["message"]
    assert (status["variant"], status["worker"]["deaths"]) == ("plain", 0)
    assert tts.generate("alpha", seed=1).duration == pytest.approx(0.1)


class Falling(ContinuousFakeProvider):
    """Raises, or lets the test end its worker, in the middle of a step with several rows."""

    fall: ClassVar = None
    rows: ClassVar[list[int]] = []

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Yield words, until it falls."""
        for steps, item in enumerate(super().generate_continuous(context, model, arrivals), 1):
            yield item
            if Falling.fall is not None:
                Falling.fall(steps)


@pytest.fixture
def falling():
    """The class that falls as the test says."""
    Falling.fall = None
    yield Falling
    Falling.fall = None


@pytest.mark.parametrize("how", ["raises", "dies"])
def test_fall_with_several_rows_costs_those_who_have_heard(make, falling, how):
    """The others are spoken again, each by itself, with their seeds; the rung stays."""
    tts = make(spec_of(falling, batch_size=8))
    right = {seed: tts.generate(text_of(11), seed=seed).samples for seed in range(4)}
    begun, fallen = threading.Event(), []

    def fall(steps):
        if begun.is_set() and not fallen:
            fallen.append(steps)
            if how == "raises":
                raise OSError("the batch broke")
            make.workers[-1].die()
            time.sleep(0.2)

    with ThreadPoolExecutor(4) as pool, tts.stream(LONG, seed=7, delay_s=0.002) as stream:
        next(stream)
        futures = [pool.submit(tts.generate, text_of(11), seed=seed, delay_s=0.002) for seed in range(4)]
        falling.fall = fall
        begun.set()
        for seed, future in enumerate(futures):
            np.testing.assert_array_equal(future.result(30).samples, right[seed])
        with pytest.raises(errors.WorkerDied if how == "dies" else errors.StageFailed):
            list(stream)
    status = tts.get_provider_status()
    assert (status["attempts"], status["worker"]["deaths"]) == ([], how == "dies")


def test_death_with_one_row_is_its_callers(make, falling):
    """Who was alone gets `WorkerDied`; the next request is served by another worker."""
    tts = make(spec_of(falling))
    tts.load()

    def fall(steps):
        make.workers[0].die()
        time.sleep(0.1)

    falling.fall = fall
    with pytest.raises(errors.WorkerDied):
        tts.generate(text_of(11), seed=1, delay_s=0.001)
    falling.fall = None
    assert tts.generate(text_of(3), seed=1).duration > 0
    assert tts.get_provider_status()["worker"]["starts"] == 2


def test_two_deaths_on_a_rung_give_it_up(make, falling):
    """Inside the ladder of the next worker, with the crash as the reason."""
    tts = make(spec_of(falling))

    def fall(steps):
        make.workers[-1].die()
        time.sleep(0.1)

    falling.fall = fall
    with pytest.raises(errors.WorkerDied):
        tts.generate(text_of(5), seed=1)
    assert tts.generate(text_of(5), seed=1).duration == pytest.approx(0.6)
    status = tts.get_provider_status()
    assert [attempt["rung"] for attempt in status["attempts"]] == ["optimized"]
    assert status["variant"] == "plain"


class Lazy(ContinuousFakeProvider):
    """Takes no row: it returns at once, or never makes anything."""

    idles: ClassVar[bool] = False

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Yield nothing."""
        while Lazy.idles:
            yield None


@pytest.mark.parametrize("idles", [False, True])
def test_hook_that_takes_no_row_is_given_up(make, monkeypatch, idles):
    """As in process, in the same words."""
    monkeypatch.setattr(Lazy, "idles", idles)
    tts = make(spec_of(Lazy))
    assert tts.generate("alpha beta", seed=1).duration == pytest.approx(0.2)
    (attempt,) = tts.get_provider_status()["attempts"]
    assert "has taken none of 1 requests" in attempt["message"]


class Choosy(ContinuousFakeProvider):
    """Has no room for a row of more than three words while others are spoken."""

    order: ClassVar[list[str]] = []

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Yield words of the rows that fit."""
        rows = {}
        while True:
            fitting = arrivals.take(8, lambda one: not rows or len(one.request.text.split()) < 4)
            for arrival in fitting:
                Choosy.order.append(arrival.request.text)
                rows[arrival.number] = super().generate(context, model, arrival.request)
            if not rows:
                return
            for number, tones in list(rows.items()):
                chunk = next(tones, None)
                if chunk is None:
                    del rows[number]
                yield number, RowEnd() if chunk is None else chunk


def test_row_that_does_not_fit_waits_for_its_place(make):
    """And is spoken when the others have left, or before a ninth one overtakes it."""
    Choosy.order = []
    tts = make(spec_of(Choosy, batch_size=16))
    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(tts.generate, text_of(n % 7), seed=n, delay_s=0.001) for n in range(40)]
        assert all(future.result(30).duration > 0 for future in futures)
    assert len(Choosy.order) == 40


def test_work_is_counted_for_each_request_once(make, stepping):
    """Stages name their rows; a request whose text has several pieces counts a shared step once."""
    tts = make(spec_of(stepping, batch_size=8, max_chars=40))
    speech = tts.generate("alpha beta gamma. " * 6, seed=1)
    assert speech.metrics.pieces > 2
    work = speech.metrics.work["decode"]
    assert work.steps == work.own_steps == len(stepping.steps)
    assert work.row_steps == sum(map(len, stepping.steps)) > 2 * work.steps
    other = tts.generate("alpha", seed=1)
    assert other.metrics.work["decode"].steps == 2


def test_load_on_a_worker(make, tmp_path, install):
    """The figures of both contenders come over the wire: rows per step, waits, the worker's memory."""
    spec = spec_of(Stepping)
    settings = {"data_dir": install(spec), "isolation": "always"}
    Stepping.gate.set()
    workload = Workload((Text("alpha beta gamma."), Text("delta.")), options={"delay_s": 0.002})
    record = run_load("fake", workload, Load(concurrency=4, duration_s=0.4), settings=settings)
    assert record["isolated"]
    together, alone = record["variants"]["together"], record["variants"]["alone"]
    assert together["failed"] == alone["failed"] == {}
    assert 1.0 < together["rows_per_step"] <= 4.0
    assert alone["rows_per_step"] == pytest.approx(1.0)
    assert together["memory"]["rss_peak"] == 1 << 20


def test_voices_are_found_while_others_are_spoken(make):
    """A request that names a built-in voice begins in the middle of a call."""
    tts = make()
    with ThreadPoolExecutor(1) as pool, tts.stream(LONG, seed=1, delay_s=0.002) as stream:
        next(stream)

        def ask(voice):
            return pool.submit(tts.generate, "alpha", seed=1, voice=voice).result(20).samples

        high, low = map(ask, ("High", "low"))
        with pytest.raises(errors.VoiceNotFound):
            ask("nobody")
        assert not np.array_equal(high, low)
        assert next(stream).duration > 0


class Speechless(ContinuousFakeProvider):
    """Cannot list its voices."""

    @hookimpl
    def voices(self, context, model):
        """Fail."""
        raise OSError("no list")


def test_voices_that_cannot_be_listed_cost_a_rung_only_when_asked_for(make):
    """Also in the middle of a call: its rows are spoken again on the next rung."""
    tts = make(spec_of(Speechless))
    assert tts.generate("alpha", seed=1).duration > 0
    assert tts.get_provider_status()["attempts"] == []
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(tts.generate, text_of(11) * 5, seed=1, delay_s=0.002)
        with tts.stream(LONG, seed=1, delay_s=0.002) as stream:
            next(stream)
            assert pool.submit(tts.generate, "alpha", seed=1, voice="low").result(20).duration > 0
        assert other.result(20).duration > 0
    (attempt,) = tts.get_provider_status()["attempts"]
    assert (attempt["stage"], attempt["rung"]) == ("voices", "optimized")


@pytest.mark.parametrize("variant", [ContinuousFakeProvider, FastFakeProvider], ids=["joining", "batch"])
def test_many_recordings_in_one_call(make, variant):
    """More than a worker keeps: each row has its own when it comes."""
    tts = make(spec_of(variant, batch_size=32))
    tone = np.sin(np.arange(16_000) / 20).astype(np.float32)
    voices = [(tone * (0.3 + n / 100), 16_000) for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        speeches = list(pool.map(lambda voice: tts.generate("alpha", seed=1, voice=voice), voices, timeout=60))
    assert len({speech.samples.tobytes() for speech in speeches}) > 15


@pytest.fixture
def talk():
    """A worker that has loaded the continuous fake provider, seen from its parent's end of the channel."""
    worker = ThreadWorker()
    channel = worker.channel
    first = [
        Setup(spec_to_json(spec_of(ContinuousFakeProvider)), {}, {}, None, (), {}, 30),
        calls.Load(begin=True, log_level=30),
    ]
    for call in first:
        channel.send(Kind.CALL, to_json(call))
        assert heard(channel, Kind.REPLY, Kind.HELLO)
    yield channel
    worker.end()


def heard(channel, *until, of=(Kind.CHUNK, Kind.OUTCOME, Kind.REPLY)):
    """Kind and row of what a worker says, up to something of a kind, or as long as it says something."""
    said = []
    while (frame := channel.receive(10.0 if until else 0.3)) is not None:
        if frame.kind in of:
            said.append((frame.kind.name, frame.content.get("row")))
        if frame.kind in until and frame.kind is not Kind.HELLO:
            break
    return said


def send_rows(channel, *texts, rows=None, joins=True, window=2):
    """Ask a worker to speak, and send the rows."""
    channel.send(Kind.CALL, to_json(Speak(rows or len(texts), joins, 30, window)))
    for number, text in enumerate(texts):
        request = RequestMessage(text, None, None, None, 1, 1.0, {}, streaming=True)
        channel.send(Kind.ROW, to_json(RowMessage(number, 0, request)))


def test_each_row_has_its_own_window(talk):
    """A row whose chunks nobody takes waits; others go on to their end, and a cancelled one ends at once."""
    send_rows(talk, text_of(9), text_of(4))
    assert sorted(heard(talk)) == [("CHUNK", 0)] * 2 + [("CHUNK", 1)] * 2
    talk.send(Kind.CREDIT, {"row": 1, "chunks": 100})
    assert heard(talk) == [("CHUNK", 1)] * 3 + [("OUTCOME", 1)]
    talk.send(Kind.CREDIT, {"row": 0, "chunks": 1})
    assert heard(talk) == [("CHUNK", 0)]
    talk.send(Kind.CANCEL, {"rows": [0, 1, 77]})
    assert heard(talk, Kind.OUTCOME) == [("OUTCOME", 0)]
    talk.send(Kind.END)
    assert heard(talk, Kind.REPLY) == [("REPLY", None)]


def test_chunks_come_before_the_end_of_their_row(talk):
    """Also when the provider was done with it long ago."""
    send_rows(talk, text_of(5), text_of(5), window=1)
    talk.send(Kind.CREDIT, {"row": 1, "chunks": 9})
    first = heard(talk)
    assert [row for kind, row in first if kind == "OUTCOME"] == [1]
    talk.send(Kind.CREDIT, {"row": 0, "chunks": 9})
    assert heard(talk, Kind.OUTCOME)[-2:] == [("CHUNK", 0), ("OUTCOME", 0)]


def test_call_waits_for_its_rows_and_for_its_end(talk):
    """The first ones are spoken together; the reply comes when no more can."""
    send_rows(talk, "alpha", rows=2)
    assert heard(talk) == []
    talk.send(Kind.ROW, to_json(RowMessage(7, 0, RequestMessage("beta", None, None, None, 1, 1.0, {}, False))))
    assert sorted(heard(talk)) == [("CHUNK", 0), ("CHUNK", 7), ("OUTCOME", 0), ("OUTCOME", 7)]
    talk.send(Kind.ROW, to_json(RowMessage(8, 0, RequestMessage("beta", None, None, None, 1, 1.0, {}, False))))
    assert heard(talk) == [("CHUNK", 8), ("OUTCOME", 8)]
    talk.send(Kind.END)
    assert heard(talk, Kind.REPLY) == [("REPLY", None)]


@pytest.mark.parametrize(
    ("request_of", "word"),
    [
        (lambda: RequestMessage("a", None, "no such", None, 1, 1.0, {}, False), "VoiceUnsuitable"),
        (lambda: RequestMessage("a", None, None, None, 1, 1.0, {"loudness": 50}, False), "InvalidOption"),
        (lambda: RequestMessage("a", None, None, None, 1, 1.0, {"nothing": 1}, False), "Option"),
        (lambda: RequestMessage("a", None, None, None, 1, 1.0, {"delay_s": "soon"}, False), "InvalidOption"),
        (lambda: RequestMessage("a", None, None, None, 1, 1.0, {"runaway_seeds": 5}, False), "InvalidOption"),
    ],
    ids=["recording", "range", "unknown", "type", "no list"],
)
def test_row_that_is_wrong_ends_before_it_is_spoken(talk, request_of, word):
    """With its own error; the row beside it is spoken."""
    talk.send(Kind.CALL, to_json(Speak(2, True, 30, 9)))
    talk.send(Kind.ROW, to_json(RowMessage(0, 0, request_of())))
    talk.send(Kind.ROW, to_json(RowMessage(1, 1, RequestMessage("b", None, None, None, 1, 1.0, {}, False))))
    first = talk.receive(10.0)
    assert (first.kind, first.content["row"]) == (Kind.OUTCOME, 0)
    assert word in first.content["error"]["name"]
    assert heard(talk, Kind.OUTCOME) == [("CHUNK", 1), ("OUTCOME", 1)]


def test_rows_on_their_way_when_a_call_fails_are_dropped(talk):
    """A call that follows has its own."""
    send_rows(talk, "alpha")
    heard(talk, Kind.OUTCOME)
    talk.send(Kind.END)
    talk.send(Kind.ROW, to_json(RowMessage(5, 0, RequestMessage("late", None, None, None, 1, 1.0, {}, False))))
    assert heard(talk, Kind.REPLY) == [("REPLY", None)]
    talk.send(Kind.CALL, to_json(Speak(1, False, 30, 9)))
    talk.send(Kind.ROW, to_json(RowMessage(6, 0, RequestMessage("next", None, None, None, 1, 1.0, {}, False))))
    assert heard(talk, Kind.REPLY) == [("CHUNK", 6), ("OUTCOME", 6), ("REPLY", None)]


@pytest.mark.parametrize(
    ("times", "spent", "cancelled"),
    [
        ([], 0.0, 0.0),
        ([("begin", 0, 7, 0.0), 2.0], 2.0, 0.0),
        ([("begin", 0, 7, 3.0), 2.0], 5.0, 0.0),
        ([("begin", 0, 7, 0.0), 2.0, ("begin", 1, 8, 0.0), 1.0], 3.0, 0.0),
        ([("begin", 0, 7, 0.0), 2.0, ("end", 0), 5.0, ("begin", 1, 7, 9.0), 1.0], 3.0, 0.0),
        ([("begin", 0, 7, 0.0), ("begin", 1, 8, 0.0), ("cancel", 0), 4.0], 4.0, 4.0),
        ([("begin", 0, 7, 0.0), ("cancel", 0), 4.0, ("end", 0), ("begin", 1, 8, 0.0), 1.0], 1.0, 0.0),
        ([("begin", 0, 7, 0.0), ("cancel", 0), 4.0, ("clear",), 1.0], 0.0, 0.0),
    ],
)
def test_clocks_of_rows(times, spent, cancelled):
    """A request's time is that of all its rows; a cancelled row's runs until it ends."""
    clocks = RowClocks()
    for step in times:
        if isinstance(step, float):
            clocks.advance(step)
        else:
            getattr(clocks, step[0])(*step[1:])
    assert (clocks.longest(), clocks.longest_cancelled()) == (spent, cancelled)
