"""A provider in a worker behaves as in process."""

import asyncio
import itertools
import logging
import sys
import threading

import numpy as np
import pytest

from realtts import RealProvider, errors
from realtts.testing import fake_spec

TEXT = "Hello there. This is a text of several words! And another sentence, to be sure."


def same(one, other):
    """The same audio, bit for bit, and the same of everything that does not measure time."""
    np.testing.assert_array_equal(one.samples, other.samples)
    assert (one.sample_rate, one.marks, one.finish_reason) == (other.sample_rate, other.marks, other.finish_reason)
    assert (one.warnings, one.seed, one.metrics.tokens) == (other.warnings, other.seed, other.metrics.tokens)


def test_plugin_is_not_needed_here(rogue):
    """A plugin that this process cannot import speaks in its environment."""
    with pytest.raises(ImportError):
        import rogue as _  # noqa: F401
    speech = rogue().generate("one two three")
    assert speech.duration == pytest.approx(0.3)
    assert "rogue" not in sys.modules


@pytest.mark.parametrize(
    "arguments",
    [{}, {"voice": "high"}, {"language": "de"}, {"speed": 1.5}, {"loudness": 1.5}, {"max_new_tokens": 2}],
    ids=str,
)
def test_speech_is_equal(fake, here, arguments):
    """Audio, marks, warnings and tokens, whatever is asked."""
    same(fake.generate(TEXT, seed=7, **arguments), here.generate(TEXT, seed=7, **arguments))


def test_recording_is_equal(fake, here):
    """A recording travels whole, once, and with its words."""
    recording = (np.sin(np.arange(16000) / 20).astype(np.float32), 16000)
    for _ in range(2):
        arguments = {"voice": recording, "reference_text": "what it says", "seed": 1}
        same(fake.generate(TEXT, **arguments), here.generate(TEXT, **arguments))


def test_long_text_is_equal(install):
    """Pieces, seeds and joins are made in this process for both."""
    spec = fake_spec(max_chars=40)
    with RealProvider("fake", data_dir=install(spec)) as there, RealProvider(spec) as here:
        same(there.generate(TEXT * 3, seed=5), here.generate(TEXT * 3, seed=5))


def test_text_that_is_being_written_is_equal(fake, here):
    """Its sentences go to the worker one by one; the next is written when the one before it was heard."""

    def written(heard):
        for word in TEXT.split():
            yield f"{word} "
            if word == "another":
                assert heard.wait(30)

    def speak(tts):
        heard = threading.Event()
        with tts.stream(written(heard), seed=7) as stream:
            first = next(stream)
            heard.set()
            return [first, *stream]

    one, other = speak(fake), speak(here)
    np.testing.assert_array_equal(*(np.concatenate([chunk.samples for chunk in each]) for each in (one, other)))
    marks = [[mark for chunk in each for mark in chunk.marks] for each in (one, other)]
    assert marks[0] == marks[1]
    assert [TEXT[slice(*mark.span)] for mark in marks[0]] == TEXT.split()


def test_runaway_is_equal(fake, here):
    """A runaway is stopped, spoken again and told of in the same way."""
    one = fake.generate("hello there", seed=3, runaway_seeds=(3,))
    same(one, here.generate("hello there", seed=3, runaway_seeds=(3,)))
    assert one.metrics.retries == 1


def test_batch_is_equal(fake, here):
    """Rows that are decoded together."""
    texts = ["one two three", "four", "five six"]
    for one, other in zip(fake.generate_batch(texts, seed=2), here.generate_batch(texts, seed=2), strict=True):
        same(one, other)


def test_stream_is_equal(fake, here):
    """Chunk by chunk."""
    ours, theirs = list(fake.stream(TEXT, seed=4)), list(here.stream(TEXT, seed=4))
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
        assert (one.marks, one.finish_reason, one.tokens) == (other.marks, other.finish_reason, other.tokens)


def test_stages_are_timed(fresh):
    """Metrics have the worker's stages of the load."""
    fake = fresh
    assert {"load", "warmup", "generate"} <= fake.generate("hello").metrics.stages.keys()
    assert fake.generate("hello").metrics.stages.keys() == {"generate"}


def test_voices_are_equal(fake, here):
    """The built-in voices."""
    assert fake.voices() == here.voices()


@pytest.mark.parametrize(
    "arguments",
    [
        {"loudnes": 1.0},
        {"loudness": 3.0},
        {"loudness": "loud"},
        {"max_new_tokens": 0},
        {"runaway_seeds": 5},
        {"voice": "nobody"},
        {"language": "xx"},
        {"speed": 9},
    ],
    ids=str,
)
def test_input_errors_are_equal(fake, here, arguments):
    """The same class and the same words."""
    caught = []
    for provider in (fake, here):
        with pytest.raises(errors.InputError) as error:
            provider.generate("hello", **arguments)
        caught.append((type(error.value), str(error.value)))
    assert caught[0] == caught[1]


def test_validators_in_code_are_asked(rogue):
    """What no schema can say is refused by the plugin's own class, as an error of the same kind."""
    tts = rogue()
    with pytest.raises(errors.InvalidOption, match="it is odd"):
        tts.generate("hello", even=3)
    assert tts.get_provider_status()["attempts"] == []
    tts.generate("hello", even=4)


def test_errors_of_a_stage_come_with_the_workers_traceback(rogue):
    """A rung that fails is given up in the worker; with strict the error comes here, its cause with it."""
    tts = rogue()
    with pytest.raises(errors.LadderExhausted, match="it went wrong") as caught:
        tts.generate("hello", do="fail")
    assert [attempt.variant for attempt in caught.value.attempts] == ["optimized", "plain"]
    assert caught.value.attempts[0].exception.endswith("rogue.Boom") or "Boom" in caught.value.attempts[0].exception
    assert "Boom" in str(caught.value.__cause__)
    assert "rogue.py" in str(caught.value.__cause__.__cause__)
    assert tts.generate("hello").duration
    assert tts.get_provider_status()["worker"]["deaths"] == 0
    with pytest.raises(errors.StageFailed, match="it went wrong"):
        rogue(strict=True).generate("hello", do="fail")


def test_errors_of_ours_stay_what_they_are(rogue):
    """A plugin's typed error arrives as the same class with the same fields."""
    with pytest.raises(errors.UnspeakableText) as caught:
        rogue().generate("hello", do="refuse")
    assert (caught.value.who, caught.value.what, caught.value.fix) == (
        "rogue", "it cannot say this", "say something else",
    )  # fmt: skip
    assert "rogue.py" in str(caught.value.__cause__)


def test_silence_is_found_here_and_told_there(install):
    """What this process finds wrong with the audio closes the worker's rung."""
    with RealProvider("fake", data_dir=install(fake_spec())) as tts:
        with pytest.raises(errors.LadderExhausted, match="the audio is silent"):
            tts.generate("hello", silent=True)
        attempts = tts.get_provider_status()["attempts"]
        assert tts.generate("hello").duration
    assert [(attempt["variant"], attempt["message"]) for attempt in attempts] == [
        ("optimized", "the audio is silent"),
        ("plain", "the audio is silent"),
    ]


def test_cancelling_a_stream_stops_the_provider(fake):
    """A closed stream ends the work at the next word; the next request is served."""
    with fake.stream("hello " * 1000, delay_s=0.02) as stream:
        next(stream)
    assert fake.generate("hello").finish_reason == "stop"


def test_cancel_reaches_the_worker(fake, until):
    """`cancel` is heard while the model works; the audio so far is returned."""

    async def main():
        task = asyncio.create_task(fake.agenerate("hello " * 1000, delay_s=0.01))
        await asyncio.to_thread(until, lambda: fake.get_provider_status()["state"] == "generating")
        await asyncio.sleep(0.1)
        fake.cancel()
        return await task

    assert asyncio.run(main()).finish_reason == "cancelled"


def test_back_pressure(rogue, until):
    """A worker whose stream is not read stops after a few chunks: nothing piles up."""
    tts = rogue(stream_buffer=1)
    with tts.stream("word " * 600, seconds=1.0) as stream:
        next(stream)
        worker = tts.get_provider_status()["memory"]["rss"]
        chunks = sum(1 for _ in itertools.islice(stream, 100))
        assert chunks == 100
        assert tts.get_provider_status()["memory"]["rss"] < worker + (32 << 20)
        rest = sum(chunk.duration for chunk in stream)
    assert rest == pytest.approx(499, abs=2)


def test_log_records_arrive(rogue, caplog):
    """Records of the worker's packages keep level and name."""
    rogue().load()
    found = [record for record in caplog.records if record.name == "rogue.package"]
    assert [(record.levelno, record.getMessage()) for record in found] == [(logging.WARNING, "weights are old")]


def test_events_arrive(rogue):
    """Events of the core and of the plugin reach whoever listens, made JSON-able."""
    tts, heard = rogue(), []
    tts._ladder._forward = heard.append
    tts.generate("hello")
    names = [event.name for event in heard]
    assert names[0] == "request.started"
    assert {"stage.started", "stage.finished", "rung.ready", "request.finished"} <= set(names)
    (own,) = [event for event in heard if event.name == "rogue.loaded"]
    assert (own.provider, own.data) == ("rogue", {"path": "weights"})


def test_status(fresh, here):
    """The status has the same keys, and says where the worker is."""
    fake = fresh
    assert fake.get_provider_status()["worker"]["pid"] is None
    assert fake.get_provider_status()["memory"] == {"rss": 0}
    fake.generate("hello")
    here.generate("hello")
    one, other = fake.get_provider_status(), here.get_provider_status()
    assert one.keys() == other.keys()
    assert one["optimization_details"].keys() == other["optimization_details"].keys()
    assert (one["isolation"], other["isolation"], other["worker"]) == ("isolated", "in-process", None)
    assert one["worker"]["starts"] == 1
    assert one["versions"]["realtts"]
    assert one["memory"]["rss"] > 1 << 20
    for name in ("variant", "rung", "attempts", "optimization_details"):
        assert one[name] == other[name]


def test_unload_ends_the_worker(fresh):
    """Everything it held is free; the next use starts another."""
    fake = fresh
    fake.generate("hello")
    fake.unload()
    status = fake.get_provider_status()
    assert (status["state"], status["worker"]["pid"], status["memory"]) == ("unloaded", None, {"rss": 0})
    fake.generate("hello")
    assert fake.get_provider_status()["worker"]["starts"] == 2


@pytest.mark.full  # `tests/core/test_lifecycle.py` has it in process by default
def test_idle_unload_keeps_what_was_given_up(install, until):
    """After an idle unload the next worker begins on the rung that worked."""
    data = install(fake_spec(optimized="realtts.testing.fake:Nothing"))
    with RealProvider("fake", data_dir=data, idle_unload_s=0.2) as tts:
        tts.generate("hello")
        assert len(tts.get_provider_status()["attempts"]) == 1
        until(lambda: tts.get_provider_status()["worker"]["pid"] is None)
        assert tts.generate("hello").duration
        assert len(tts.get_provider_status()["attempts"]) == 1
