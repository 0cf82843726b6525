"""Threads, forks and callers beside each other."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest

native = pytest.importorskip("realtts_native")
if native.usable():
    pytest.skip(str(native.usable()), allow_module_level=True)

from native_reference import Network, Shape, Tensors, native_step  # noqa: E402

from realtts_native import Cache, Pool, Weight  # noqa: E402

WEIGHT = Weight.pack(np.random.default_rng(0).standard_normal((300, 256)).astype(np.float32))
X = np.random.default_rng(1).standard_normal((4, 256)).astype(np.float32)


def product(pool: Pool | None = None) -> Any:
    """Multiply."""
    out = np.empty((4, 300), np.float32)
    WEIGHT.run(X, out, pool=pool)
    return out


def test_callers_beside_each_other() -> None:
    """Several Python threads on one pool, each on its own pool, and on both, get what one alone gets."""
    wanted, pools, wrong = product(Pool(1)), [Pool(2), Pool(3)], []

    def call(number: int) -> None:
        for turn in range(30):
            pool = (None, pools[0], pools[1], pools[(number + turn) % 2])[number % 4]
            if not np.array_equal(product(pool), wanted):
                wrong.append(number)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_steps_of_one_decoder_beside_each_other() -> None:
    """Two Python threads with a cache each may use one decoder at the same time."""
    network = Network.random(Shape())
    decoder, pools = native_step(network, "int8"), [Pool(2), Pool(2)]
    x = np.random.default_rng(2).standard_normal((2, 64)).astype(np.float32)
    results: list[Any] = [None, None]

    def speak(number: int) -> None:
        tensors = Tensors.of(network.shape, 2, 40)
        bound, out = Cache(**tensors.arguments), np.empty_like(x)
        for _ in range(30):
            decoder.run(x, bound, out, pool=pools[number])
        results[number] = out, tensors

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(results[0][0], results[1][0])
    assert results[0][1].slots.tolist() == results[1][1].slots.tolist() == [30, 30]


def test_pools_come_and_go() -> None:
    """Many of them, used or not."""
    wanted = product()
    for threads in (1, 2, 3, 5):
        Pool(threads)
        for _ in range(5):
            assert np.array_equal(product(Pool(threads)), wanted)
    assert Pool.default().threads >= 1
    assert np.array_equal(product(Pool.default()), wanted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """It multiplies, on the pool it inherited and on a new one, while the parent goes on; also a child's child."""
    pool, wanted = Pool(3), product()
    assert np.array_equal(product(pool), wanted)

    def child(depth: int) -> None:
        good = all(np.array_equal(product(one), wanted) for one in (pool, None, Pool(2), pool))
        if good and depth:
            good = forked(depth - 1)
        os._exit(0 if good else 1)

    def forked(depth: int) -> bool:
        number = os.fork()
        if number == 0:
            child(depth)
        return os.waitpid(number, 0)[1] == 0

    assert forked(1)
    assert np.array_equal(product(pool), wanted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_while_another_thread_multiplies() -> None:
    """A child is not stuck with what its parent's threads had locked."""
    pool, wanted, stop = Pool(2), product(), threading.Event()
    begun = threading.Event()

    def work() -> None:
        while not stop.is_set():
            product(pool)
            begun.set()

    worker = threading.Thread(target=work)
    worker.start()
    begun.wait()
    try:
        for _ in range(5):
            number = os.fork()
            if number == 0:
                os._exit(0 if np.array_equal(product(pool), wanted) else 1)
            assert os.waitpid(number, 0)[1] == 0
    finally:
        stop.set()
        worker.join()
