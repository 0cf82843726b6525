"""Many requests to workers that are killed at random: in a file of its own, so that it runs beside the others."""

import os
import random
import signal
import sys
import threading

import pytest

from realtts import errors


@pytest.mark.full  # `test_faults` kills a worker in each of its states by default
@pytest.mark.parametrize("requests", [14, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.skipif(sys.platform == "win32", reason="it ends processes by signals")
def test_random_kills(rogue, requests):
    """Every request is answered, or fails with the typed error, and nothing is left behind."""
    tts, chance = rogue(), random.Random(1)
    tts.load()

    def worker():
        return tts.get_provider_status()["worker"]

    def kill():
        if (pid := worker()["pid"]) is not None:
            os.kill(pid, signal.SIGKILL)

    answered = died = 0
    for number in range(requests):
        killer = threading.Timer(chance.uniform(0.0, 0.05), kill)
        if chance.random() < 0.25:
            killer.start()
        try:
            if number % 2:
                seconds = sum(chunk.duration for chunk in tts.stream("a b c " * 50))
            else:
                seconds = tts.generate("a b c " * 50).duration
            assert seconds == pytest.approx(15.0)
            answered += 1
        except errors.WorkerDied:
            died += 1
        finally:
            killer.cancel()
    assert answered + died == requests
    assert answered
    assert worker()["deaths"] >= died > 0
    assert tts.generate("hello").duration == pytest.approx(0.1)
