"""Compare our steps with llama.cpp's, and our Qwen3 with other native engines, in turns on one machine.

Run by hand on a quiet machine; see README.md beside this file. Every round runs each contender once, so that a machine
whose speed wanders slows them alike; the table has medians. The last line is one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

import llama_cpp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["main"]

_HERE = Path(__file__).parent
_KINDS = {"int8": "Q8_0", "int4": "Q4_0"}
"""Ours, and llama.cpp's of as many bits."""

Round = dict[str, dict[str, float]]
"""Seconds of a round: contender -> case."""


class Child:
    """A program that measures once for each line that it is sent.

    Args:
        command: To run.
        threads: For OpenMP.
    """

    def __init__(self, command: list[str], threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._name = " ".join(command)
        self._process = subprocess.Popen(  # noqa: S603 - programs that this script names
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def measure(self) -> dict[str, float]:
        """Measure once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._name} has ended")
        measured: dict[str, float] = json.loads(line)
        return measured

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Measure and print."""
    arguments = _parser().parse_args()
    contenders = _steps(arguments) | _speakers(arguments)
    rounds: list[Round] = []
    for number in range(arguments.rounds + 1):
        measured = {name: _reported(number, name, measure) for name, measure in contenders.items()}
        if number:  # the first warms up
            rounds.append(measured)
    medians = {
        name: {case: statistics.median(each[name][case] for each in rounds) for case in rounds[0][name]}
        for name in contenders
    }
    for name, cases in medians.items():
        figures = "  ".join(f"{case}: {1e3 * seconds:8.2f}" for case, seconds in cases.items() if case != "rtf")
        sys.stdout.write(f"{name:28} {figures}   ms\n")
    facts = {"threads": arguments.threads, "positions": arguments.positions, "rounds": arguments.rounds}
    sys.stdout.write(
        json.dumps({**facts, "llama.cpp": llama_cpp.SOURCE, "medians": medians, "rounds_s": rounds}) + "\n"
    )


def _reported(number: int, name: str, measure: Callable[[], Mapping[str, float]]) -> dict[str, float]:
    """Measure once, and say on standard error what came: a run takes long, and may be cut off."""
    measured = dict(measure())
    figures = "  ".join(f"{case}: {1e3 * seconds:.2f}" for case, seconds in measured.items())
    sys.stderr.write(f"round {number}  {name}  {figures}\n")
    return measured


def _steps(arguments: argparse.Namespace) -> dict[str, Callable[[], Mapping[str, float]]]:
    """Return those whose steps are timed."""
    made: dict[str, Callable[[], Any]] = {}
    program = None
    for shape in arguments.shapes:
        rows = [1] if shape == "predictor" else arguments.rows
        for kind in arguments.kinds:
            common = ["--positions", str(arguments.positions), "--steps", str(arguments.steps)]
            common += ["--threads", str(arguments.threads), "--rows", *map(str, rows)]
            own = [sys.executable, str(_HERE / "ours.py"), "--shape", shape, "--kind", kind, *common]
            made[f"{shape} ours {kind}"] = Child(own, arguments.threads).measure
            bits = _KINDS.get(kind.removeprefix("native-"))
            name = f"{shape} llama.cpp {bits}"
            if bits is None or arguments.no_llama or name in made:
                continue
            program = program or llama_cpp.build(arguments.folder / "llama.cpp", arguments.llama_source, arguments.jobs)
            model = arguments.folder / f"{shape}.{bits}.gguf"
            llama_cpp.write_model(llama_cpp.SHAPES[shape], bits, model)
            made[name] = _llama(program, model, rows, arguments)
    return made


def _llama(
    program: Path, model: Path, rows: list[int], arguments: argparse.Namespace
) -> Callable[[], dict[str, float]]:
    def measure() -> dict[str, float]:
        found = llama_cpp.seconds_per_step(
            program, model, rows, positions=arguments.positions, steps=arguments.steps, threads=arguments.threads
        )
        return {str(number): seconds for number, seconds in found.items()}

    return measure


def _speakers(arguments: argparse.Namespace) -> dict[str, Callable[[], Mapping[str, float]]]:
    """Return the engines whose whole speech is timed: those that a model was named for."""
    made: dict[str, Callable[[], Any]] = {}
    for engine, model in (("vox", arguments.vox), ("qwentts", arguments.qwentts), ("realtts", arguments.qwen3)):
        if model is not None:
            python = sys.executable if engine == "realtts" else arguments.peer_python
            command = [python, str(_HERE / "speech.py"), "--engine", engine, "--model", model]
            command += ["--frames", str(arguments.frames), "--threads", str(arguments.threads)]
            made[f"qwen3 {engine}"] = Child(command, arguments.threads).measure
    return made


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where llama.cpp and the models go")
    parser.add_argument("--shapes", nargs="*", default=list(llama_cpp.SHAPES), choices=llama_cpp.SHAPES)
    parser.add_argument("--kinds", nargs="*", default=["int8", "int4"], help="int8, int4, native-int8, native-int4")
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 2, 8, 12])
    parser.add_argument("--positions", type=int, default=300)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-llama", action="store_true", help="without llama.cpp")
    parser.add_argument("--llama-source", type=Path, help="a checkout of llama.cpp, instead of the pinned archive")
    parser.add_argument("--jobs", type=int, default=1, help="compilers at a time")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python with vox-tts or qwentts")
    parser.add_argument("--vox", help="a model of vox-tts, .tmod")
    parser.add_argument("--qwentts", help="talker and codec in GGUF, apart by a comma")
    parser.add_argument("--qwen3", help="our checkpoint of the same model")
    parser.add_argument("--frames", type=int, default=50)
    return parser


if __name__ == "__main__":
    main()
