"""Many callers at once: every request ends, with the samples of its text or with a typed error.

    python benchmarks/storm.py espeak [--seconds 120] [--threads 16] [--tasks 200] [--isolated] [--model FOLDER]

Threads call `generate` and `stream`, tasks of one event loop `agenerate` and `astream`; some requests are cancelled or
refused half-way. What each text sounds like is asked once before, alone, with the same seed. The last line is JSON; the
exit code is 1 when a request was lost or wrong, or an error was not one of realtts.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts import RealProvider
from realtts.errors import Busy, InputError, RealTTSError
from realtts.isolation.environments import FILE, IsolatedEnvironment
from realtts.registry.providers import get_spec
from realtts.wire.specs import spec_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realtts.contract.types import Chunk

__all__ = ["Storm", "main"]

TEXTS = [f"Number {n}{' and more' * (n % 5)}." for n in range(24)]
CANCELLED, REFUSED = 0.05, 0.05
_ENDS_S = 120.0


class Storm:
    """Callers of one provider, and what came of their requests.

    Args:
        provider: Whom they call.
        seconds: How long new requests begin.
    """

    def __init__(self, provider: RealProvider, seconds: float) -> None:
        self._provider = provider
        self._expected = [provider.generate(text, seed=n).samples for n, text in enumerate(TEXTS)]
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self.counts: collections.Counter[str] = collections.Counter()
        self.faults: list[str] = []

    def run(self, threads: int, tasks: int) -> dict[str, Any]:
        """Let so many threads and tasks call until the time is over; return the counts."""
        workers = [threading.Thread(target=self._call_in_thread, args=(n,), daemon=True) for n in range(threads)]
        for worker in workers:
            worker.start()
        asyncio.run(self._call_in_tasks(tasks))
        for worker in workers:
            worker.join(_ENDS_S)
        lost = self.counts["begun"] - sum(count for name, count in self.counts.items() if name != "begun")
        return {**self.counts, "lost": lost, "hanging_threads": sum(worker.is_alive() for worker in workers)}

    def _call_in_thread(self, number: int) -> None:
        draw = random.Random(number)  # noqa: S311 - which requests come
        while time.monotonic() < self._end:
            kind = self._begin(draw)
            n = draw.randrange(len(TEXTS))
            with self._counting(kind, n) as judge:
                if kind == "refused":
                    self._provider.generate("")
                elif kind == "cancelled":
                    stream = self._provider.stream(TEXTS[n], seed=n)
                    next(stream, None)
                    stream.close()
                elif draw.random() < 0.5:
                    judge(self._provider.generate(TEXTS[n], seed=n).samples)
                else:
                    judge(_joined(self._provider.stream(TEXTS[n], seed=n)))

    async def _call_in_tasks(self, tasks: int) -> None:
        await asyncio.gather(*(self._call_in_task(1000 + number) for number in range(tasks)))

    async def _call_in_task(self, number: int) -> None:
        draw = random.Random(number)  # noqa: S311
        while time.monotonic() < self._end:
            kind = self._begin(draw)
            n = draw.randrange(len(TEXTS))
            with self._counting(kind, n) as judge:
                if kind == "refused":
                    await self._provider.agenerate("")
                elif kind == "cancelled":
                    task = asyncio.ensure_future(self._provider.agenerate(TEXTS[n], seed=n))
                    await asyncio.sleep(draw.random() * 0.05)
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                elif draw.random() < 0.5:
                    judge((await self._provider.agenerate(TEXTS[n], seed=n)).samples)
                else:
                    judge(_joined([chunk async for chunk in self._provider.astream(TEXTS[n], seed=n)]))
            await asyncio.sleep(0)

    def _begin(self, draw: random.Random) -> str:
        with self._lock:
            self.counts["begun"] += 1
        number = draw.random()
        return "cancelled" if number < CANCELLED else "refused" if number < CANCELLED + REFUSED else "right"

    @contextlib.contextmanager
    def _counting(self, kind: str, n: int) -> Any:
        """Count how the request in the body ends; the body hands its samples to the function that it gets."""
        ends = [kind]

        def judge(samples: np.ndarray[Any, Any]) -> None:
            if not np.array_equal(samples, self._expected[n]):
                ends[0] = "wrong"
                self.faults.append(f"text {n}: {len(samples)} samples, {len(self._expected[n])} alone")

        try:
            yield judge
        except Busy:
            ends[0] = "busy"
            time.sleep(0.01)
        except InputError as error:
            if kind != "refused":
                ends[0] = "typed"
                self.faults.append(repr(error))
        except RealTTSError as error:
            ends[0] = "typed"
            self.faults.append(repr(error))
        except Exception as error:
            ends[0] = "raw"
            self.faults.append(repr(error))
        with self._lock:
            self.counts[ends[0]] += 1


def _joined(chunks: Iterable[Chunk]) -> np.ndarray[Any, Any]:
    return np.concatenate([chunk.samples for chunk in chunks])


def _environment_of(name: str, data: Path) -> None:
    """Write down an environment whose interpreter is this one."""
    home = data / "environments" / name
    home.mkdir(parents=True)
    from realtts import __version__

    environment = IsolatedEnvironment(
        name=name, python=Path(sys.executable), spec=spec_to_json(get_spec(name)), core_version=__version__
    )
    (home / FILE).write_text(json.dumps(environment.as_dict(home)), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("provider")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--isolated", action="store_true", help="in a worker process of this interpreter")
    parser.add_argument("--model", help="a local checkpoint, for providers with weights")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"threads": 1, "data_dir": folder}
        if options.model:
            settings |= {"dtype": "float32"}
        if options.isolated:
            _environment_of(options.provider, Path(folder))
            settings["isolation"] = "always"
        with RealProvider(options.provider, model=options.model, **settings) as provider:
            storm = Storm(provider, options.seconds)
            result = storm.run(options.threads, options.tasks)
    result["provider"] = options.provider + (" (isolated)" if options.isolated else "")
    for fault in storm.faults[:10]:
        print(fault)
    print(json.dumps(result))
    return 1 if any(result.get(name) for name in ("lost", "wrong", "raw", "typed", "hanging_threads")) else 0


if __name__ == "__main__":
    sys.exit(main())
