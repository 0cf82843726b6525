"""Inner stages of `generate`: timed without the reader's time, summed over pieces, rows and retries."""

import dataclasses
import itertools
import time

import numpy as np
import pytest

from realtts import Chunk, RealProvider, Request, hookimpl
from realtts.contract.stages import StageLog, StageWork, Work, never
from realtts.contract.timing import timed
from realtts.testing import FakeProvider, fake_spec, faults, faulty


class Staged(FakeProvider):
    """Decodes one token per word, and calls a vocoder for each inside the decoding."""

    @hookimpl
    def warmup(self, context, model):
        """Timed as well, and no request's."""
        with timed(context, "decode", steps=1000):
            pass

    @hookimpl
    def generate(self, context, model, request):
        """One chunk per word, yielded inside the open stage."""
        with timed(context, "decode", dtype="int8") as work:
            words = request.text.split()
            forced = context.forced_tokens(request.text)
            for word in words if forced is None else itertools.islice(itertools.cycle(words), forced):
                work.add(steps=1, bytes=100, flops=10)
                with timed(context, "vocoder", steps=1):
                    samples = np.full(1600, 0.1 + 0.01 * len(word), np.float32)
                yield Chunk(samples, 16_000, tokens=1)


class StagedFast:
    """Fails after the second chunk of a text with more than three words."""

    @hookimpl
    def generate(self, context, model, request):
        """The plain stages, then an error."""
        for spoken, chunk in enumerate(Staged().generate(context, model, request)):
            yield chunk
            if spoken == 1 and len(request.text.split()) > 3:
                raise RuntimeError("no more")


def staged_spec(**changes):
    """The provider above."""
    return fake_spec(plain=f"{faults.__name__}:Staged", optimized=None, **changes)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The classes where an import path can name them."""
    monkeypatch.setattr(faults, "Staged", Staged, raising=False)
    monkeypatch.setattr(faults, "StagedFast", StagedFast, raising=False)


def test_stages_are_in_the_metrics():
    """Seconds under generate.NAME, work under its name; the warm-up's is not there."""
    with RealProvider(staged_spec()) as tts:
        metrics = tts.generate("one two three").metrics
    assert {"generate", "generate.decode", "generate.vocoder"} <= set(metrics.stages)
    decode = metrics.work["decode"]
    assert (decode.steps, decode.bytes, decode.flops, decode.dtype) == (3, 300, 30, "int8")
    assert metrics.work["vocoder"].steps == 3
    assert metrics.work["vocoder"].dtype == "float32"
    assert metrics.stages["generate.decode"] == decode.seconds > 0
    assert metrics.as_dict()["work"]["decode"]["steps"] == 3


def test_inner_stages_sum_to_no_more_than_generate():
    """A stage inside another takes its time away from it."""
    with RealProvider(staged_spec()) as tts:
        stages = tts.generate("one two three four five six").metrics.stages
    assert stages["generate.decode"] + stages["generate.vocoder"] <= stages["generate"]


def test_each_request_has_its_own():
    """Nothing is carried over from request to request."""
    with RealProvider(staged_spec()) as tts:
        assert [tts.generate("one two").metrics.work["decode"].steps for _ in range(3)] == [2, 2, 2]


def test_the_readers_time_does_not_count():
    """A reader that takes its time between chunks is not charged to the open stage."""
    with RealProvider(staged_spec(), stream_buffer=1) as tts:
        tts.load()
        with tts.stream("one two three four five six") as stream:
            for _ in stream:
                time.sleep(0.05)
        metrics = stream.metrics
    assert metrics.work["decode"].steps == 6
    assert metrics.work["decode"].seconds + metrics.work["vocoder"].seconds <= metrics.total_s


def test_pieces_and_rows_are_summed():
    """A text in pieces and a batch count all of their work."""
    with RealProvider(staged_spec(max_chars=20)) as tts:
        speech = tts.generate("One two three. Four five six. Seven eight nine.")
        assert speech.metrics.pieces > 1
        assert speech.metrics.work["decode"].steps == 9
        batch = tts.generate_batch(["one two", "three"])
    assert batch[0].metrics.work["decode"].steps == 3


def test_retries_count_what_was_done_twice():
    """Work of a rung that failed is in the sum, as its time is in the total."""
    spec = dataclasses.replace(staged_spec(), optimized=f"{faults.__name__}:StagedFast")
    with RealProvider(spec) as tts:
        speech = tts.generate("one two three four")
    assert speech.metrics.retries == 1
    assert speech.metrics.work["decode"].steps == 2 + 4


def test_a_closed_stream_closes_its_stages():
    """Leaving a stream early leaves no stage open for the next request."""
    with RealProvider(staged_spec(), stream_buffer=1) as tts:
        with tts.stream("one two three four five six seven eight") as stream:
            next(stream)
        assert tts.generate("one two").metrics.work["decode"].steps == 2


def test_events_tell_of_each_stage(monkeypatch):
    """An extension sees every stage as it closes."""
    from realtts.registry.extensions import Extensions

    class Listener:
        def __init__(self):
            self.events = []

        def on_event(self, event):
            self.events.append(event)

    listener = Listener()
    monkeypatch.setattr("realtts.provider.facade.discover_extensions", lambda: Extensions({"listener": listener}))
    with RealProvider(staged_spec()) as tts:
        tts.generate("one two")
    found = [event.data for event in listener.events if event.name == "generate.stage"]
    assert [data["stage"] for data in found] == ["vocoder", "vocoder", "decode"]
    assert found[-1]["bytes"] == 200
    assert set(found[-1]) == {"stage", "seconds", "steps", "bytes", "flops", "dtype"}


def test_a_provider_without_stages_has_none():
    """Nothing is invented."""
    with RealProvider(fake_spec()) as tts:
        tts.generate("warm")
        metrics = tts.generate("Hello").metrics
    assert set(metrics.stages) == {"generate"}
    assert metrics.work == {}


def test_time_goes_to_the_stage_that_was_entered_last(monkeypatch):
    """Nested and overlapping stages share the time without counting any of it twice; pauses count for none."""
    clock = iter(range(100))
    monkeypatch.setattr("realtts.contract.stages.time.perf_counter", lambda: next(clock))
    log, outer, inner = StageLog(), Work("outer", "float32"), Work("inner", "float32")
    log.begin(0, "request")
    log.resume()  # 0
    log.enter(outer)  # 1
    log.enter(inner)  # 2: outer has 1
    log.pause()  # 3: inner has 1
    next(clock)
    log.resume()  # 5
    assert log.leave(outer)  # 6: inner has 2
    assert log.leave(inner)  # 7: inner has 3
    log.stop()
    assert {name: work.seconds for name, work in log.totals("request").items()} == {"outer": 1, "inner": 3}
    log.enter(outer)
    assert not log.leave(outer), "no request is being generated"


def test_nobody_cancels_a_warm_up():
    """A request by itself is never cancelled either."""
    assert not never()
    assert not Request("Hello").cancelled()


def test_work_adds_up():
    """The sum of two records."""
    assert StageWork(1.0, 1, 2, 3) + StageWork(2.0, 10, 20, 30, "int8") == StageWork(3.0, 11, 22, 33, "int8")


def test_forced_tokens_follow_the_text():
    """In proportion to the text, at least one; None without the setting."""
    seen = []
    for rate in (None, 0.5, 0.001):
        with RealProvider(staged_spec(), force_tokens_per_char=rate) as tts:
            seen.append(tts.generate("ten chars.").metrics.tokens)
    assert seen == [2, 5, 1]


def test_forced_tokens_are_no_runaway():
    """What is forced to be long is neither cut, nor spoken again, nor refused for its sound."""
    spec = fake_spec(max_seconds_per_char=0.0001)
    text = " ".join(["la"] * 60)
    with RealProvider(spec) as tts:
        assert tts.generate(text, seed=1).finish_reason == "length"
    with RealProvider(spec, force_tokens_per_char=1) as tts:
        speech = tts.generate(text, seed=1)
        assert (speech.finish_reason, speech.warnings, speech.metrics.retries) == ("stop", (), 0)
        speech = tts.generate("quiet", silent=True)
        assert speech.metrics.retries == 0
        assert "came out silent" in speech.warnings[0]
        assert tts.get_provider_status()["variant"] == "optimized"


def test_a_failing_stage_is_recorded_too():
    """A stage that raises is closed, and the ladder goes on."""
    with RealProvider(faulty(fake_spec(plain=f"{faults.__name__}:Staged"), "generate", after=1)) as tts:
        assert tts.generate("one two").metrics.work["decode"].steps >= 2
