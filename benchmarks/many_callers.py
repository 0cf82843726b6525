"""Ten thousand requests of the fake provider through the scheduler, from threads and from tasks.

    python benchmarks/many_callers.py --requests 10000 --threads 64 --tasks 500

Prints what was lost, what came twice or wrong, how long the callers who asked for least waited against the others, the
overhead of a request, and memory and descriptors before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import psutil

from realtts import RealProvider
from realtts.testing import ContinuousFakeProvider, FakeProvider, FastFakeProvider, fake_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

TEXTS = [" ".join(f"word{n}" for n in range(1 + length)) for length in range(8)]
VARIANTS = {"continuous": ContinuousFakeProvider, "batch": FastFakeProvider, "single": FakeProvider}


class Storm:
    """Requests of many callers, and what came of them.

    Args:
        tts: The provider.
        requests: How many.
    """

    def __init__(self, tts: RealProvider, requests: int) -> None:
        self.tts = tts
        self.right: list[NDArray[np.float32]] = [tts.generate(text, seed=n).samples for n, text in enumerate(TEXTS)]
        self.outcomes: Counter[str] = Counter()
        self.answered: Counter[int] = Counter()
        self.waits: list[float] = []
        self._numbers = iter(range(requests))
        self._lock = threading.Lock()

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of requests that nobody has taken yet."""
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            yield number

    def note(self, number: int, samples: NDArray[np.float32], wait_s: float) -> None:
        """Compare an answer."""
        same = np.array_equal(samples, self.right[number % len(TEXTS)])
        with self._lock:
            self.answered[number] += 1
            self.outcomes["right" if same else "wrong"] += 1
            self.waits.append(wait_s)

    def ask(self) -> None:
        """Ask from a thread until none is left, half of the time as a stream."""
        for number in self.numbers():
            which = number % len(TEXTS)
            if number % 2:
                speech = self.tts.generate(TEXTS[which], seed=which)
                self.note(number, speech.samples, speech.metrics.queue_s)
            else:
                stream = self.tts.stream(TEXTS[which], seed=which)
                samples = np.concatenate([chunk.samples for chunk in stream])
                self.note(number, samples, stream.metrics.queue_s)

    async def aask(self) -> None:
        """Ask from a task until none is left."""
        for number in self.numbers():
            which = number % len(TEXTS)
            speech = await self.tts.agenerate(TEXTS[which], seed=which)
            self.note(number, speech.samples, speech.metrics.queue_s)


def run(variant: str, requests: int, threads: int, tasks: int) -> None:
    """Storm one variant of the fake provider and print what came of it."""
    cls = VARIANTS[variant]
    spec = fake_spec(optimized=f"{cls.__module__}:{cls.__qualname__}")
    process = psutil.Process()
    with RealProvider(spec, queue_size=threads + tasks + 8) as tts:
        storm = Storm(tts, requests)
        alone = overhead(tts)
        gc.collect()
        before = (process.memory_info().rss, process.num_fds())

        async def many() -> None:
            await asyncio.gather(*(storm.aask() for _ in range(tasks)))

        callers = [threading.Thread(target=storm.ask) for _ in range(threads)]
        callers.append(threading.Thread(target=lambda: asyncio.run(many())))
        began = time.perf_counter()
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        seconds = time.perf_counter() - began
        gc.collect()
        after = (process.memory_info().rss, process.num_fds())
    lost = requests - len(storm.answered)
    twice = sum(count > 1 for count in storm.answered.values())
    waits = sorted(storm.waits)
    print(
        f"{variant:10}  right {storm.outcomes['right']:6}  wrong {storm.outcomes['wrong']}  lost {lost}  twice {twice}"
        f"  {seconds:6.1f} s  {1000 * seconds / requests:.2f} ms each  alone {1000 * alone:.2f} ms"
        f"  wait p50 {waits[len(waits) // 2]:.2f} p99 {waits[int(len(waits) * 0.99)]:.2f} max {waits[-1]:.2f} s"
        f"  memory {(after[0] - before[0]) >> 20:+} MiB  descriptors {after[1] - before[1]:+}"
    )


def overhead(tts: RealProvider) -> float:
    """Return the seconds that one request of one word takes, the median of many."""
    times = []
    for _ in range(300):
        began = time.perf_counter()
        tts.generate("a", seed=1)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Read the arguments and storm the variants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    arguments = parser.parse_args()
    for variant in arguments.variants:
        run(variant, arguments.requests, arguments.threads, arguments.tasks)


if __name__ == "__main__":
    main()
