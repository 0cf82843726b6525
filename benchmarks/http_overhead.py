r"""Times what HTTP adds to espeak: the first audio, and requests a second, against the same in this process.

Run it from the root of the repository, in an environment with ``plugins/espeak`` and ``servers/http``::

    python benchmarks/http_overhead.py

The server runs in a process of its own. Both take turns, request by request. The last line is JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO, TYPE_CHECKING

import psutil

from realtts import RealProvider

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = "Hello there, friend."
CALLERS = 8


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryFile("w+") as log, RealProvider("espeak") as tts:
        command = [sys.executable, "-m", "realtts", "serve", "espeak", "--port", "0"]
        server = subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
        try:
            port = port_of(log)
            here, there = first_audio(tts, port, arguments.requests)
            alone = rate(lambda: tts.generate(TEXT, seed=1), 1, arguments.seconds)
            callers = psutil.Process().cpu_times().user
            over_http = rate(connection_of(port), CALLERS, arguments.seconds)
            callers = psutil.Process().cpu_times().user - callers
        finally:
            server.terminate()
            server.wait(60)
    about = {
        "benchmark": "http_overhead",
        "first_audio_ms": {"here": round(here, 2), "http": round(there, 2), "difference": round(there - here, 2)},
        "requests_per_s": {"here, one thread": round(alone, 1), "http, 8 callers": round(over_http, 1)},
        "share": round(over_http / alone, 3),
        "callers_cpu_s": round(callers, 2),
        "seconds": arguments.seconds,
    }
    print(json.dumps(about))


def port_of(log: IO[str]) -> int:
    """Wait for the line that says where the server listens."""
    for _ in range(600):
        log.seek(0)
        listening = re.search(r"listening on http://[\d.]+:(\d+)", log.read())
        if listening:
            return int(listening[1])
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def first_audio(tts: RealProvider, port: int, requests: int) -> tuple[float, float]:
    """Return the medians of the time to the first audio in milliseconds, in this process and over HTTP, in turns."""
    speak = connection_of(port, first=True)
    here, there = [], []
    for number in range(requests + 10):
        began = time.perf_counter()
        with tts.stream(TEXT, seed=1) as stream:
            next(stream)
            taken = time.perf_counter() - began
        if number >= 10:
            here.append(taken)
        began = time.perf_counter()
        taken = speak() - began
        if number >= 10:
            there.append(taken)
    return 1000 * statistics.median(here), 1000 * statistics.median(there)


def connection_of(port: int, *, first: bool = False) -> Callable[[], float]:
    """Return a function that asks for speech on a connection of its thread; it returns when the (first) audio came."""
    own = threading.local()
    body = json.dumps({"model": "espeak", "voice": "en-us", "input": TEXT, "response_format": "pcm", "seed": 1})

    def speak() -> float:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection("127.0.0.1", port)
        own.connection.request("POST", "/v1/audio/speech", body, {"content-type": "application/json"})
        answer = own.connection.getresponse()
        answer.read1(1)
        came = time.perf_counter()
        answer.read()
        return came if first else time.perf_counter()

    return speak


def rate(speak: Callable[[], object], threads: int, seconds: float) -> float:
    """Return the requests a second that so many threads make together."""
    end, counts = time.perf_counter() + seconds, [0] * threads

    def loop(number: int) -> None:
        while time.perf_counter() < end:
            speak()
            counts[number] += 1

    loops = [threading.Thread(target=loop, args=(number,)) for number in range(threads)]
    for each in loops:
        each.start()
    for each in loops:
        each.join()
    return sum(counts) / seconds


if __name__ == "__main__":
    main()
