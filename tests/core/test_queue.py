"""One model, many callers: fairness, limits, cancellation, streams that nobody reads, and no deadlock."""

import asyncio
import functools
import gc
import multiprocessing
import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from waiting import until

from realtts import RealProvider, errors
from realtts.provider import facade
from realtts.registry.extensions import Extensions
from realtts.testing import fake_spec, faulty

LONG = " ".join(f"word{n}" for n in range(400))


@pytest.fixture
def make(open_provider):
    """Makes fake providers."""
    return functools.partial(open_provider, fake_spec())


def state(tts):
    """The provider's state."""
    return tts.get_provider_status()["state"]


def waiting(tts):
    """Requests in the queue."""
    return tts.get_provider_status()["queue"]["waiting"]


@pytest.fixture
def busy(make):
    """A provider that speaks a long text in another thread, and that thread's future."""
    with ThreadPoolExecutor(1) as pool:

        def busy(**settings):
            tts = make(**settings)
            future = pool.submit(tts.generate, LONG, delay_s=0.01)
            until(lambda: state(tts) == "generating")
            return tts, future

        yield busy


def test_requests_are_served_in_order(make, monkeypatch):
    """First come, first served, whoever asks."""
    order = []

    class Watch:
        """Notes whose audio comes."""

        def process_audio(self, chunk, request):
            """Note the seed."""
            order.append(request.seed)
            return chunk

    monkeypatch.setattr(facade, "discover_extensions", lambda: Extensions({"watch": Watch()}))
    tts = make()
    stream = tts.stream(LONG, seed=99, delay_s=0.02)  # goes on while others wait
    next(stream)
    threads = [threading.Thread(target=tts.generate, args=("Hello",), kwargs={"seed": n}) for n in range(8)]
    for number, thread in enumerate(threads):
        thread.start()
        until(lambda n=number: waiting(tts) == n + 1)
    stream.close()
    for thread in threads:
        thread.join()
    assert [seed for seed in order if seed != 99] == list(range(8))


def test_full_queue_is_busy(busy):
    """A typed error at once; who waits already is served."""
    tts, running = busy(queue_size=1)
    with ThreadPoolExecutor(1) as pool:
        queued = pool.submit(tts.generate, "Hello")
        until(lambda: waiting(tts) == 1)
        with pytest.raises(errors.Busy, match="1 requests wait already"):
            tts.generate("Hello")
        tts.cancel()
        assert running.result().finish_reason == "cancelled"
        assert queued.result().finish_reason == "cancelled"


def test_turn_that_does_not_come_is_busy(busy):
    """After queue_timeout_s, for whole speeches, streams and coroutines; the place in the queue is given back."""
    tts, running = busy(queue_timeout_s=0.05)
    with pytest.raises(errors.Busy, match=r"0\.05"):
        tts.generate("Hello")
    with pytest.raises(errors.Busy):
        next(tts.stream("Hello"))
    with pytest.raises(errors.Busy):
        asyncio.run(tts.agenerate("Hello"))

    async def first():
        async for chunk in tts.astream("Hello"):
            return chunk
        return None

    with pytest.raises(errors.Busy):
        asyncio.run(first())
    assert waiting(tts) == 0
    tts.cancel()
    running.result()


def test_housekeeping_is_never_busy(busy):
    """load, voices and unload wait for their turn however full the queue is."""
    tts, running = busy(queue_size=1)
    with ThreadPoolExecutor(1) as pool:
        voices = pool.submit(tts.voices)
        until(lambda: waiting(tts) == 1)
        tts.cancel()
        assert [voice.id for voice in voices.result()][:2] == ["low", "high"]
    running.result()


def test_cancel_gives_what_was_spoken(busy):
    """The running request returns its audio so far; the provider serves the next."""
    tts, running = busy()
    until(lambda: state(tts) == "generating")
    assert tts.cancel() == 1
    speech = running.result()
    assert speech.finish_reason == "cancelled"
    assert speech.duration < 40
    assert tts.cancel() == 0
    assert tts.generate("Hello").finish_reason == "stop"


def test_cancel_of_what_waits(busy):
    """A request that had not begun returns no audio, at once; its stream holds its closing chunk alone."""
    tts, running = busy()
    stream = tts.stream("Hello there")
    with ThreadPoolExecutor(2) as pool:
        whole, chunks = pool.submit(tts.generate, "Hello"), pool.submit(list, stream)
        until(lambda: waiting(tts) == 2)
        assert tts.cancel() == 3
        assert (whole.result().duration, whole.result().finish_reason) == (0.0, "cancelled")
        assert [chunk.finish_reason for chunk in chunks.result()] == ["cancelled"]
    running.result()


def test_closing_a_stream_stops_the_work(make):
    """The model is free again long before the text would be spoken."""
    tts = make()
    with tts.stream(LONG, delay_s=0.05) as stream:
        assert next(stream).duration > 0
    assert tts.generate("Hello").metrics.queue_s < 5
    assert list(stream) == []
    stream.close()


def test_dropping_a_stream_stops_the_work(make):
    """Leaving a for loop is enough."""
    tts = make()
    for chunk in tts.stream(LONG, delay_s=0.05):
        assert chunk.duration > 0
        break
    gc.collect()
    assert tts.generate("Hello").metrics.queue_s < 5


def test_unread_stream_takes_no_place(make):
    """A stream joins the queue when its first chunk is asked for."""
    tts = make()
    stream = tts.stream("Hello there")
    assert tts.generate("Hello").duration > 0
    assert state(tts) == "ready"
    assert sum(chunk.duration for chunk in stream) == pytest.approx(0.2)
    assert stream.metrics.tokens == 2


def test_bad_input_of_a_stream_is_raised_at_once(make):
    """Not at the first chunk."""
    with pytest.raises(errors.BlankText):
        make().stream(" ")


def test_stream_that_nobody_reads_is_ended_when_others_wait(make):
    """The others get their turn; the reader gets what was ready and then the reason."""
    tts = make(stream_buffer=2, stream_stall_s=0.1)
    stream = tts.stream(LONG, delay_s=0.01)
    next(stream)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(tts.generate, "Hello").result(timeout=20).duration > 0
    with pytest.raises(errors.StreamStalled, match="nobody read"):
        list(stream)


def test_slow_reader_alone_is_left_alone(make):
    """Nobody waits, so nobody is hurt."""
    tts = make(stream_buffer=1, stream_stall_s=0.02)
    heard = 0.0
    for chunk in tts.stream("one two three four five"):
        time.sleep(0.05)
        heard += chunk.duration
    assert heard == pytest.approx(0.5)


def test_generating_while_streaming_is_an_error_not_a_deadlock(make):
    """In the same thread; another thread may wait; after the stream it works."""
    tts = make(stream_buffer=1)
    stream = tts.stream(LONG)
    next(stream)
    for call in (lambda: tts.generate("Hello"), lambda: next(tts.stream("Hello")), tts.unload, tts.voices):
        with pytest.raises(errors.WouldDeadlock, match="still reading a stream"):
            call()
    stream.close()
    assert tts.generate("Hello").duration > 0
    list(tts.stream("Hello"))
    assert tts.generate("Hello").duration > 0


def test_close_with_an_open_stream(make):
    """Leaving the provider's context in the middle of a stream ends both."""
    tts = make(stream_buffer=1)
    stream = tts.stream(LONG, delay_s=0.01)
    next(stream)
    tts.close()
    assert all(chunk.duration < 1 for chunk in stream)
    assert state(tts) == "closed"
    tts.unload()


def test_closing_tells_those_who_wait(busy):
    """A request that waits returns as cancelled; housekeeping says that it was closed."""
    tts, running = busy()
    with ThreadPoolExecutor(2) as pool:
        whole, voices = pool.submit(tts.generate, "Hello"), pool.submit(tts.voices)
        until(lambda: waiting(tts) == 2)
        tts.close()
        assert whole.result().finish_reason == "cancelled"
        with pytest.raises(errors.ProviderClosed):
            voices.result()
    assert running.result().finish_reason == "cancelled"


def test_calling_from_inside_is_an_error(make, monkeypatch):
    """An extension that generates with the provider that calls it would wait for ever."""
    caught = []

    class Nested:
        """Generates while it is told of an event."""

        def on_event(self, event):
            """Call back."""
            if event.name == "rung.ready":
                try:
                    tts.generate("Hello")
                except errors.WouldDeadlock as error:
                    caught.append(error)

    monkeypatch.setattr(facade, "discover_extensions", lambda: Extensions({"nested": Nested()}))
    tts = make()
    assert tts.generate("Hello").duration > 0
    assert len(caught) == 1


def test_error_of_a_stream_reaches_its_reader():
    """After the chunks that were ready."""
    with RealProvider(faulty(faulty(fake_spec(), "load"), "generate", variant="plain", after=2)) as tts:
        stream = tts.stream("one two three four")
        assert next(stream).duration > 0
        assert next(stream).duration > 0
        with pytest.raises(errors.StageFailed, match="after audio had been delivered"):
            next(stream)
        assert list(stream) == []


class TestAsync:
    """The same from an event loop."""

    def test_generate_and_stream(self, make):
        """Equal to the blocking calls."""
        tts = make()

        async def both():
            whole = await tts.agenerate("Hello there", seed=1)
            chunks = [chunk async for chunk in tts.astream("Hello there", seed=1)]
            return whole, chunks

        whole, chunks = asyncio.run(both())
        assert np.array_equal(whole.samples, tts.generate("Hello there", seed=1).samples)
        assert np.array_equal(np.concatenate([chunk.samples for chunk in chunks]), whole.samples)

    def test_many_at_once(self, make):
        """The loop goes on while they are spoken."""
        tts = make()
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.002)

        async def main():
            ticking = asyncio.create_task(tick())
            speeches = await asyncio.gather(
                *(tts.agenerate(f"Hello number {n}", seed=n, delay_s=0.005) for n in range(20))
            )
            ticking.cancel()
            return speeches

        speeches = asyncio.run(main())
        assert [speech.seed for speech in speeches] == list(range(20))
        assert ticks > 10

    def test_cancelling_the_task_cancels_the_request(self, make):
        """Whether it runs or waits; the model is free again."""
        tts = make()

        async def main():
            # Both are long: which of the two gets its turn first is not certain.
            running = asyncio.create_task(tts.agenerate(LONG, delay_s=0.02))
            waiting_one = asyncio.create_task(tts.agenerate(LONG, delay_s=0.02))
            await asyncio.sleep(0.2)
            waiting_one.cancel()
            running.cancel()
            return await asyncio.gather(running, waiting_one, return_exceptions=True)

        results = asyncio.run(main())
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        assert tts.generate("Hello").metrics.queue_s < 5

    def test_leaving_the_loop_cancels_the_stream(self, make):
        """The rest is not spoken."""
        tts = make()

        async def main():
            stream = tts.astream(LONG, delay_s=0.02)
            async for chunk in stream:
                assert chunk.duration > 0
                break
            await stream.aclose()

        asyncio.run(main())
        assert tts.generate("Hello").metrics.queue_s < 5

    def test_same_task_is_an_error_another_waits(self, make):
        """What would wait for itself is refused; another task of the same thread is served."""
        tts = make(stream_buffer=1)

        async def main():
            other = None
            async for chunk in tts.astream("one two three four five six"):
                if chunk.finish_reason is not None:
                    continue  # the stream is read, nothing would wait for itself
                with pytest.raises(errors.WouldDeadlock):
                    await tts.agenerate("Hello")
                other = other or asyncio.create_task(tts.agenerate("Hello"))
            return await other

        assert asyncio.run(main()).duration > 0

    def test_bad_input(self, make):
        """Raised where it is awaited."""
        with pytest.raises(errors.BlankText):
            asyncio.run(make().agenerate(" "))
        with pytest.raises(errors.VoiceNotFound):
            asyncio.run(make().agenerate("Hello", voice="nowhere.wav"))


def test_two_hundred_requests_from_eight_threads(make):
    """Some cancelled, some invalid: every valid one complete and right, nothing hangs, memory level."""
    tts = make(queue_size=1000)
    texts = [" ".join(f"word{n}" for n in range(1 + length)) for length in range(10)]
    alone = [tts.generate(text, seed=n).samples for n, text in enumerate(texts)]

    def request(n):
        which = n % 10
        kind = random.Random(n).choice(["valid"] * 6 + ["cancelled", "invalid", "stream", "closed"])
        if kind == "invalid":
            with pytest.raises(errors.InputError):
                tts.generate(texts[which], loudness=-1)
        elif kind == "cancelled":
            with tts.stream(LONG, delay_s=0.002) as stream:
                next(stream)
        elif kind == "closed":
            tts.stream(texts[which]).close()
        elif kind == "stream":
            samples = np.concatenate([chunk.samples for chunk in tts.stream(texts[which], seed=which)])
            assert np.array_equal(samples, alone[which])
        else:
            assert np.array_equal(tts.generate(texts[which], seed=which).samples, alone[which])
        return kind

    def run():
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(request, range(200), timeout=120))

    kinds = run()
    assert set(kinds) == {"valid", "cancelled", "invalid", "stream", "closed"}
    gc.collect()
    before = psutil.Process().memory_info().rss
    for _ in range(3):
        run()
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 8 << 20
    queue = tts.get_provider_status()["queue"]
    assert (queue["waiting"], queue["running"]) == (0, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_gets_a_typed_error(make):
    """The model's thread does not exist in the child; the parent goes on."""
    tts = make().load()
    reader, writer = multiprocessing.Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        try:
            tts.generate("Hello")
        except BaseException as error:
            writer.send(type(error).__name__)
        tts.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert reader.recv() == "ProviderClosed"
    assert tts.generate("Hello").duration > 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pthread_kill")
def test_interrupt_cancels_the_request(make):
    """Ctrl-C in the waiting thread stops the work behind it."""
    import signal

    tts = make()
    timer = threading.Timer(0.2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        tts.generate(LONG, delay_s=0.05)
    timer.join()
    assert tts.generate("Hello").metrics.queue_s < 5
