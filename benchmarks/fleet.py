"""What a fleet needs: the throughput of one replica by concurrency, measured, and a queueing model of many.

Measure a replica, here or behind a server::

    python benchmarks/fleet.py measure --provider espeak --concurrency 1 2 4 8 --seconds 10
    python benchmarks/fleet.py measure --url http://127.0.0.1:8000 --concurrency 1 2 4 8 --seconds 10

and compute from what it prints what many of them do::

    python benchmarks/fleet.py plan --throughput 1:30,2:33,4:35,8:36 --streams 1000

`plan` also plays the fleet request by request, with log-normal lengths, to show how far the formula carries. The last
line is JSON. See docs/explanation/fleet.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
import urllib.request
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import psutil

from fleet_model import Fleet, Load, Replica, admission, admitted_load, needed, simulate, stationary
from realtts import RealProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Speak = Callable[[str], Iterator[float]]

TEXT = "The lamp in the kitchen is on, and the window behind it is open. It is seven degrees outside tonight."
REFUSED = 0.001
"""Share of refused requests at which the load is called too much."""


def main() -> None:
    """Run a subcommand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("measure", help="throughput of one replica by concurrency")
    one.set_defaults(run=measure)
    one.add_argument("--provider", default="espeak")
    one.add_argument("--model")
    one.add_argument("--url", help="of a server; else the provider speaks in this process")
    one.add_argument("--sample-rate", type=int, default=22_050, help="of the server's audio")
    one.add_argument("--concurrency", type=int, nargs="+", default=[1, 2, 4, 8])
    one.add_argument("--seconds", type=float, default=10.0, help="for each concurrency")
    one.add_argument("--text", default=TEXT)
    many = commands.add_parser("plan", help="replicas for a number of listeners")
    many.set_defaults(run=plan)
    many.add_argument("--throughput", type=pairs, required=True, metavar="REQUESTS:AUDIO_PER_SECOND,...")
    many.add_argument("--streams", type=float, default=1000.0, help="listeners at a time")
    many.add_argument("--mean-s", type=float, default=6.0, help="seconds of audio of a request")
    many.add_argument("--spread", type=float, default=1.0, help="standard deviation of the lengths over their mean")
    many.add_argument("--wait-s", type=float, default=0.2, help="wait for a place that is short enough")
    many.add_argument("--late", type=float, default=0.01, help="share of requests that may wait longer")
    many.add_argument("--headroom", type=float, default=0.2, help="how much faster than real time each stream is")
    many.add_argument("--per-machine", type=int, default=1, help="replicas of a machine")
    many.add_argument("--requests", type=int, default=20_000, help="that are played; 0: none")
    arguments = parser.parse_args()
    arguments.run(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Print a line for each concurrency."""
    measured = {}
    with RealProvider(arguments.provider, model=arguments.model) as tts:
        speak = over_http(arguments.url, arguments.sample_rate) if arguments.url else in_process(tts)
        for _ in speak(arguments.text):  # loads, and warms up
            pass
        for count in arguments.concurrency:
            measured[count] = measure_one(speak, arguments.text, count, arguments.seconds)
            print(count, json.dumps(measured[count]), flush=True)
    throughput = ",".join(f"{count}:{row['audio_per_s']}" for count, row in measured.items())
    about = {"benchmark": "fleet", "provider": arguments.provider, "url": bool(arguments.url), "measured": measured}
    print(json.dumps({**about, "throughput": throughput, "cores": psutil.cpu_count(logical=False)}))


def measure_one(speak: Speak, text: str, count: int, seconds: float) -> dict[str, float]:
    """Return what so many callers get that ask again and again."""
    firsts: list[float] = []
    speeds: list[float] = []
    audio: list[float] = []
    until = time.perf_counter() + seconds

    def call() -> None:
        while (began := time.perf_counter()) < until:
            parts: list[float] = []
            for part in speak(text):
                if not parts:
                    firsts.append(time.perf_counter() - began)
                parts.append(part)
            audio.append(sum(parts))
            speeds.append(sum(parts) / (time.perf_counter() - began))

    callers = [threading.Thread(target=call) for _ in range(count)]
    began, began_cpu = time.perf_counter(), time.process_time()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    took, took_cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return {
        "audio_per_s": round(sum(audio) / took, 2),
        "audio_per_cpu_s": round(sum(audio) / took_cpu, 2),  # of this process: what other work beside it hardly changes
        "requests": len(audio),
        "first_audio_ms": round(statistics.median(firsts) * 1e3, 1),
        "first_audio_p95_ms": round(sorted(firsts)[int(len(firsts) * 0.95)] * 1e3, 1),
        "slowest": round(min(speeds), 2),
    }


def in_process(tts: RealProvider) -> Speak:
    """Return a function that speaks here and yields the seconds of each chunk."""

    def speak(text: str) -> Iterator[float]:
        with closing(tts.stream(text, seed=1)) as stream:
            for chunk in stream:
                yield len(chunk.samples) / chunk.sample_rate

    return speak


def over_http(url: str, sample_rate: int) -> Speak:
    """Return a function that lets a server speak."""

    def speak(text: str) -> Iterator[float]:
        body = json.dumps({"input": text, "response_format": "pcm", "seed": 1}).encode()
        request = urllib.request.Request(  # noqa: S310 - the caller's own server
            f"{url}/v1/audio/speech", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            while part := answer.read1(65_536):
                yield len(part) / 2 / sample_rate

    return speak


def plan(arguments: argparse.Namespace) -> None:
    """Print what a load needs, and how a fleet of that size does."""
    replica = Replica(arguments.throughput).in_time(arguments.headroom)
    load = Load(arguments.streams, arguments.mean_s)
    replicas = needed(replica, load, arguments.wait_s, arguments.late)
    fleet = Fleet(replica, replicas)
    waiting = admission(fleet, load, arguments.wait_s * 5)
    bounded = Fleet(replica, replicas, waiting)
    outcome = stationary(bounded, load, arguments.wait_s)
    most = admitted_load(bounded, arguments.mean_s, REFUSED)
    about = {
        "benchmark": "fleet_plan",
        "streams": arguments.streams,
        "requests_per_s": round(load.per_second, 2),
        "rows": replica.rows,
        "audio_per_s_of_a_replica": round(replica.at(replica.rows), 2),
        "replicas": replicas,
        "machines": -(-replicas // arguments.per_machine),
        "most_waiting": waiting,
        "refuses_from_streams": round(most),
        "model": {name: round(value, 4) for name, value in asdict(outcome).items()},
    }
    if arguments.requests:
        played = simulate(bounded, load, arguments.wait_s, requests=arguments.requests, spread=arguments.spread, seed=1)
        about["played"] = {name: round(value, 4) for name, value in asdict(played).items()}
    print(f"{load.streams:g} listeners, {load.per_second:.1f} requests of {load.mean_s:g} s per second")
    print(f"{replicas} replicas of {replica.rows} requests each: {outcome.used:.0%} of their throughput is used")
    print(f"{outcome.later:.2%} wait longer than {arguments.wait_s:g} s; at most {waiting} may wait")
    print(f"from {most:.0f} listeners on more than {REFUSED:.1%} of the requests are refused")
    print(json.dumps(about))


def pairs(text: str) -> tuple[tuple[int, float], ...]:
    """Return ``1:30,2:33`` as numbers."""
    return tuple(
        sorted((int(number), float(rate)) for number, _, rate in (each.partition(":") for each in text.split(",")))
    )


if __name__ == "__main__":
    main()
