r"""Times the first audio of the Wyoming server with espeak, whole and streamed, against the same in this process.

Run it from the root of the repository, in an environment with ``plugins/espeak`` and ``servers/wyoming``::

    python benchmarks/wyoming_first_audio.py

The server runs in a process of its own; every request has a connection of its own, as Home Assistant makes it. All take
turns, request by request. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from wyoming.client import AsyncUnixClient
from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from realtts import RealProvider

if TYPE_CHECKING:
    from wyoming.event import Event

TEXT = "Hello there, friend. The lamp in the kitchen is on."
WHOLE = [Synthesize(TEXT).event()]
STREAMED = [SynthesizeStart().event(), SynthesizeChunk(TEXT).event(), SynthesizeStop().event()]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RealProvider("espeak") as tts:
        path = Path(folder, "tts")
        command = [sys.executable, "-m", "realtts", "wyoming", "espeak", "--preload", "--uri", f"unix://{path}"]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
        try:
            while not path.exists():
                time.sleep(0.05)
            times = asyncio.run(measured(tts, path, arguments.requests))
        finally:
            server.terminate()
            server.wait(60)
    about = {
        "benchmark": "wyoming_first_audio",
        "first_audio_ms": {name: round(statistics.median(values) * 1e3, 2) for name, values in times.items()},
        "p95_ms": {name: round(sorted(values)[int(len(values) * 0.95)] * 1e3, 2) for name, values in times.items()},
        "requests": arguments.requests,
    }
    print(json.dumps(about))


async def measured(tts: RealProvider, path: Path, requests: int) -> dict[str, list[float]]:
    """Return seconds by what was done."""
    times: dict[str, list[float]] = {"here": [], "whole": [], "streamed": [], "describe": []}
    for turn in range(requests + 3):
        begin = time.perf_counter()
        with tts.stream(TEXT, seed=1) as stream:
            next(stream)
        taken = {"here": time.perf_counter() - begin}
        for name, events, until in (
            ("whole", WHOLE, "audio-chunk"),
            ("streamed", STREAMED, "audio-chunk"),
            ("describe", [Describe().event()], "info"),
        ):
            taken[name] = await first(path, events, until)
        if turn >= 3:  # the first ones load
            for name, seconds in taken.items():
                times[name].append(seconds)
    return times


async def first(path: Path, events: list[Event], until: str) -> float:
    """Return the seconds from the connection to the first event of a type."""
    begin = time.perf_counter()
    async with AsyncUnixClient(path) as client:
        for event in events:
            await client.write_event(event)
        while (answer := await client.read_event()) is not None and answer.type != until:
            pass
        return time.perf_counter() - begin


if __name__ == "__main__":
    main()
