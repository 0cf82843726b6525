"""What isolation costs: the fake provider in a worker against the same one in process.

    python benchmarks/isolation.py [--requests N] [--json]

Both take turns, so that a busy machine harms both alike. The last line is JSON with ``--json``.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.bench.facts import machine_facts
from realtts.isolation.environments import FILE, IsolatedEnvironment
from realtts.provider.facade import RealProvider
from realtts.settings import Settings
from realtts.testing.fake import fake_spec
from realtts.wire.specs import spec_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["main", "measure"]

WORDS = 100


def measure(requests: int) -> dict[str, Any]:
    """Time requests and chunks in both places.

    Args:
        requests: Requests of one word in each place, and a tenth of it streams of 100 words.

    Returns:
        Medians in seconds, under ``in_process`` and ``isolated``, their differences under ``overhead``: ``request_s``,
        ``chunk_s`` and ``first_chunk_s``; and the seconds of a first ``load_s``.
    """
    spec = fake_spec()
    with contextlib.ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _install(data, spec)
        places = {
            "in_process": stack.enter_context(RealProvider(spec, isolation="never")),
            "isolated": stack.enter_context(RealProvider(spec, isolation="always", data_dir=data)),
        }
        loads = {name: _seconds(place.load) for name, place in places.items()}
        requested: dict[str, list[float]] = {name: [] for name in places}
        gaps: dict[str, list[float]] = {name: [] for name in places}
        firsts: dict[str, list[float]] = {name: [] for name in places}
        for number in range(requests):
            for name, place in places.items():
                requested[name].append(_seconds(lambda place=place: place.generate("hello", seed=1)))  # type: ignore[misc]
                if number % 10 == 0:
                    first, *rest = _chunk_times(place)
                    firsts[name].append(first)
                    gaps[name].extend(rest)
    medians = _medians(requested, firsts, gaps, loads)
    inside, outside = medians["in_process"], medians["isolated"]
    return {**medians, "overhead": {name: outside[name] - inside[name] for name in inside}}


def _medians(
    requested: Mapping[str, list[float]],
    firsts: Mapping[str, list[float]],
    gaps: Mapping[str, list[float]],
    loads: Mapping[str, float],
) -> dict[str, dict[str, float]]:
    return {
        name: {
            "request_s": statistics.median(requested[name]),
            "chunk_s": statistics.median(gaps[name]),
            "first_chunk_s": statistics.median(firsts[name]),
            "load_s": loads[name],
        }
        for name in loads
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks/isolation.py", description="What isolation costs.")
    parser.add_argument("--requests", type=int, default=500, help="requests in each place (default 500)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parsed = parser.parse_args(arguments)
    if parsed.requests < 1:
        parser.error("--requests: give a positive number")
    measured = measure(parsed.requests)
    lines = ["milliseconds    in process  isolated  overhead"]
    for name in measured["overhead"]:
        columns = (measured[place][name] * 1e3 for place in ("in_process", "isolated", "overhead"))
        lines.append("{:<14}  {:>10.3f}  {:>8.3f}  {:>8.3f}".format(name.removesuffix("_s"), *columns))
    if parsed.json:
        versions = {"realtts": importlib_metadata.version("realtts"), "numpy": importlib_metadata.version("numpy")}
        lines.append(json.dumps({**measured, "machine": machine_facts(Settings(), versions)}))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _install(data: Path, spec: Any) -> None:
    """Let this very environment be the fake provider's."""
    home = data / "environments" / spec.name
    home.mkdir(parents=True)
    version = importlib_metadata.version("realtts")
    environment = IsolatedEnvironment(spec.name, Path(sys.executable), spec_to_json(spec), version)
    (home / FILE).write_text(json.dumps(environment.as_dict(home)), encoding="utf-8")


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _chunk_times(place: RealProvider) -> list[float]:
    """Seconds from each chunk to the next, the first one from the call."""
    times = [time.perf_counter()]
    with place.stream("hello " * WORDS, seed=1) as stream:
        times.extend(time.perf_counter() for _ in stream)
    return [after - before for before, after in itertools.pairwise(times)]


if __name__ == "__main__":
    sys.exit(main())
