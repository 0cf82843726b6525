"""Who takes the places that become free: interactive before bulk, one-liners beside a book."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import ClassVar

import pytest

from realtts import RealProvider, errors, hookimpl
from realtts.contract.continuous import RowEnd
from realtts.provider.shares import BULK_SHARE
from realtts.testing import ContinuousFakeProvider, fake_spec


class Places(ContinuousFakeProvider):
    """Notes in which order rows are taken and when each is heard first, and waits for the test to open a gate."""

    taken: ClassVar[list[str]] = []
    first_step: ClassVar[dict[str, int]] = {}
    gate = threading.Event()

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Yield a word of every row in turn."""
        running, step = {}, 0
        while True:
            Places.gate.wait(60)
            for arrival in arrivals.take(context.spec.batch_size - len(running)):
                Places.taken.append(arrival.request.text)
                running[arrival.number] = arrival.request.text, super().generate(context, model, arrival.request)
            if not running:
                return
            step += 1
            yield None
            for number, (text, tones) in list(running.items()):
                chunk = next(tones, None)
                Places.first_step.setdefault(text, step)
                if chunk is None:
                    del running[number]
                yield number, RowEnd() if chunk is None else chunk


@pytest.fixture
def make():
    """Makes providers whose rows wait at the gate."""
    made = []
    Places.taken, Places.first_step = [], {}
    Places.gate.clear()

    def make(batch_size=1, max_chars=None, **settings):
        spec = fake_spec(optimized=f"{__name__}:Places", batch_size=batch_size, max_chars=max_chars)
        made.append(RealProvider(spec, **settings).load())
        return made[-1]

    yield make
    Places.gate.set()
    for tts in made:
        tts.cancel()
        tts.close()


def until(condition):
    """Wait for something that another thread does."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)


def ask(pool, tts, texts, **arguments):
    """Ask for texts one after the other, each when the one before it is in the queue."""
    futures = []
    for text in texts:
        queue = tts.get_provider_status()["queue"]
        before = queue["waiting"] + queue["running"]
        futures.append(pool.submit(tts.generate, text, seed=1, **arguments))

        def counted(before=before):
            queue = tts.get_provider_status()["queue"]
            return queue["waiting"] + queue["running"] > before

        until(counted)
    return futures


@pytest.mark.parametrize(("bulk", "interactive"), [(1, 5), (3, 3), (6, 1), (1, 20), (4, 17)])
def test_bulk_waits_for_interactive(make, bulk, interactive):
    """Whoever came first; yet one free place in eight is a bulk one's."""
    tts = make()
    with ThreadPoolExecutor(40) as pool:
        futures = ask(pool, tts, ["first"])
        futures += ask(pool, tts, [f"bulk {n}" for n in range(bulk)], priority="bulk")
        futures += ask(pool, tts, [f"user {n}" for n in range(interactive)])
        Places.gate.set()
        wait(futures, 60)
    kinds = [text.split()[0] for text in Places.taken if text != "first"]
    assert sorted(kinds) == ["bulk"] * bulk + ["user"] * interactive
    passed = waiting = 0
    left = {"bulk": bulk, "user": interactive}
    for kind in kinds:
        passed = passed + 1 if kind == "user" and left["bulk"] else 0
        waiting = max(waiting, passed)
        assert kind == "user" or not left["user"] or (kinds.index("bulk") >= BULK_SHARE - 2)
        left[kind] -= 1
    assert waiting <= BULK_SHARE - 1


def test_every_way_of_asking_has_priorities(make):
    """All of them; a wrong one is an error before any work."""
    tts = make()
    Places.gate.set()
    assert tts.generate("a", priority="bulk").duration
    assert tts.generate_batch(["a", "b"], priority="bulk")[1].duration
    assert list(tts.stream("a", priority="bulk"))[-1].finish_reason == "stop"
    assert list(tts.stream(["a"], priority="bulk"))[-1].finish_reason == "stop"

    async def read():
        assert (await tts.agenerate("a", priority="bulk")).duration
        assert [chunk async for chunk in tts.astream("a", priority="bulk")]

    asyncio.run(read())
    for call in (tts.generate, tts.stream, lambda text, **more: tts.generate_batch([text], **more)):
        for wrong in ("BULK", None, 1, "high", ["bulk"]):
            with pytest.raises(errors.InvalidOption, match="priority"):
                call("a", priority=wrong)


def test_each_priority_has_a_queue_of_its_own(make):
    """A full one of bulk requests refuses bulk requests, and says how long all that is before them takes."""
    tts = make(queue_size=3)
    Places.gate.set()
    tts.generate("so that there is a measure", seed=1)
    Places.gate.clear()
    with ThreadPoolExecutor(10) as pool:
        futures = ask(pool, tts, ["first"])
        futures += ask(pool, tts, ["a", "b", "c"], priority="bulk")
        futures += ask(pool, tts, ["d"])
        with pytest.raises(errors.Busy, match="3 bulk requests") as bulk:
            tts.generate("a much longer text than all of those", priority="bulk")
        futures += ask(pool, tts, ["e", "f"])
        with pytest.raises(errors.Busy, match="3 requests") as interactive:
            tts.generate("a much longer text than all of those")
        assert bulk.value.wait_s > interactive.value.wait_s > 0
        Places.gate.set()
        wait(futures, 60)
    assert all(future.result().duration for future in futures)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("lines", [4, 10])
def test_one_liners_beside_a_book(make, lines, live):
    """Every one is heard within 1.5 times the steps that it takes when the book is not there, and one row of it."""

    def speak(book):
        tts = make(batch_size=8, max_chars=20, queue_size=100)
        Places.taken.clear()
        Places.first_step.clear()
        Places.gate.clear()
        with ThreadPoolExecutor(40) as pool:
            futures = [pool.submit(listen, tts, book, live)] if book else []
            if book:
                until(lambda: tts.get_provider_status()["queue"]["running"])
            futures += ask(pool, tts, [f"line {n} ends here" for n in range(lines)])
            Places.gate.set()
            wait(futures[-lines:], 60)
            tts.cancel()
        return max(step for text, step in Places.first_step.items() if text.startswith("line"))

    alone = speak(None)
    beside = speak(" ".join(f"Sentence number {n}." for n in range(400)))
    assert beside <= 1.5 * alone + 4


def listen(tts, text, live):
    """Speak a text, as a stream or as a whole."""
    return list(tts.stream(text, seed=1)) if live else tts.generate(text, seed=1)
