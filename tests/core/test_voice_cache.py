"""Speaker conditioning, made once and kept in bounds."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pytest

from realtts.contract.types import Voice
from realtts.kit.voices import voice_key
from realtts.voices import VoiceCache


@dataclass
class Conditioning:
    """What a model might keep of a voice."""

    tokens: np.ndarray
    extra: dict


def array(count):
    """An array of that many bytes."""
    return np.zeros(count, np.uint8)


def test_a_value_is_computed_once():
    """And the same object comes back."""
    cache = VoiceCache()
    first = cache.get_or_compute("a", lambda: array(10))
    assert cache.get_or_compute("a", lambda: pytest.fail("computed again")) is first
    assert cache.stats() == {"entries": 1, "bytes": 10, "hits": 1, "misses": 1, "evictions": 0}


def test_the_least_recently_used_goes_first():
    """When the bytes are used up; looking at a value counts as use."""
    cache = VoiceCache(max_bytes=25)
    for key in ("a", "b"):
        cache.get_or_compute(key, lambda: array(10))
    cache.get_or_compute("a", lambda: array(10))
    cache.get_or_compute("c", lambda: array(10))
    assert cache.stats() == {"entries": 2, "bytes": 20, "hits": 1, "misses": 3, "evictions": 1}
    cache.get_or_compute("a", lambda: pytest.fail("was evicted"))
    cache.get_or_compute("b", lambda: array(10))
    assert cache.stats()["misses"] == 4


def test_a_value_larger_than_the_cache_is_not_kept():
    """And drives nothing out."""
    cache = VoiceCache(max_bytes=25)
    cache.get_or_compute("a", lambda: array(10))
    assert len(cache.get_or_compute("b", lambda: array(26))) == 26
    assert (cache.stats()["entries"], cache.stats()["bytes"], cache.stats()["evictions"]) == (1, 10, 0)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (array(7), 7),
        ([array(1), (array(2), {"x": array(3)})], 6),
        (Conditioning(array(4), {"y": [array(5)], "z": "text"}), 9),
        ("text", 0),
        (None, 0),
        (Conditioning, 0),
    ],
    ids=["array", "nested", "dataclass", "string", "None", "class"],
)
def test_sizes_are_those_of_the_arrays_inside(value, size):
    """Whatever they are wrapped in."""
    cache = VoiceCache()
    cache.get_or_compute("a", lambda: value)
    assert cache.stats()["bytes"] == size


def test_a_size_may_be_given():
    """For values that hold their memory elsewhere."""
    cache = VoiceCache()
    cache.get_or_compute("a", lambda: "handle", size=lambda value: 100 * len(value))
    assert cache.stats()["bytes"] == 600


def test_clear_forgets_the_values():
    """But not the counters."""
    cache = VoiceCache()
    cache.get_or_compute("a", lambda: array(10))
    cache.clear()
    assert cache.stats() == {"entries": 0, "bytes": 0, "hits": 0, "misses": 1, "evictions": 0}


def test_what_is_computed_while_the_cache_is_cleared_is_not_kept():
    """It may belong to a model that was unloaded."""
    cache = VoiceCache()

    def compute():
        cache.clear()
        return array(10)

    assert len(cache.get_or_compute("a", compute)) == 10
    assert cache.stats()["entries"] == 0


@pytest.mark.parametrize("fails", ["compute", "size"])
def test_a_failure_keeps_nothing(fails):
    """The next one tries again."""
    cache = VoiceCache()

    def fail(*args):
        raise RuntimeError("no voice")

    compute, size = (fail, None) if fails == "compute" else (lambda: 1, fail)
    with pytest.raises(RuntimeError, match="no voice"):
        cache.get_or_compute("a", compute, size)
    assert cache.stats()["entries"] == 0
    assert cache.get_or_compute("a", lambda: 2) == 2


def test_many_threads_share_one_computation():
    """All wait for the first."""
    cache = VoiceCache()
    started, go = threading.Event(), threading.Event()
    calls, results = [], []

    def compute():
        calls.append(1)
        started.set()
        go.wait(10)
        return array(10)

    threads = [threading.Thread(target=lambda: results.append(cache.get_or_compute("a", compute))) for _ in range(8)]
    for thread in threads:
        thread.start()
    started.wait(10)
    assert cache.get_or_compute("b", lambda: 3) == 3  # another key does not wait
    go.set()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert all(result is results[0] for result in results)
    assert cache.stats()["hits"] == 7


def test_after_a_failure_the_next_in_line_computes():
    """Each caller gets its own outcome."""
    cache = VoiceCache()
    started, go = threading.Event(), threading.Event()
    outcomes = []

    def fail():
        started.set()
        go.wait(10)
        raise RuntimeError

    def first():
        with pytest.raises(RuntimeError):
            cache.get_or_compute("a", fail)
        outcomes.append("failed")

    def second():
        outcomes.append(cache.get_or_compute("a", lambda: "made"))

    threads = [threading.Thread(target=first)]
    threads[0].start()
    started.wait(10)
    threads.append(threading.Thread(target=second))
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["failed", "made"]


def test_a_key_is_of_the_sound_and_all_else():
    """Not of the words, which are said of it; of samples and rate."""
    samples = np.linspace(-1, 1, 100, dtype=np.float32)
    key = voice_key(Voice(samples, 16_000, "words"), "model", "weights", 0.5)
    assert key.startswith("model/weights/0.5/")
    assert key == voice_key(Voice(samples, 16_000, "other words", "a name"), "model", "weights", 0.5)
    others = [Voice(samples, 24_000), Voice(samples[::-1], 16_000)]
    assert len({key, voice_key(others[0], "model", "weights", 0.5), voice_key(others[1], "model", "weights", 0.5)}) == 3
