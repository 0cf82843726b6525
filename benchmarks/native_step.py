"""Time the native step of the decoders that we have, over random weights, beside the floor that memory sets.

Run by hand on a quiet machine:

    OMP_NUM_THREADS=1 python benchmarks/native_step.py --models t3 vieneu qwen3 --kinds int8 int4 --rows 1 2 8 12

Every round runs each case some times, one after the other, and reads a gigabyte of memory with the same threads, so
that a machine whose speed wanders slows them alike. The floor is bytes (weights, head, keys and values) over the
median rate. With ``--busy 2`` two processes keep cores from it meanwhile, and with ``--torch`` a product of torch by
all its threads comes before each step: compare their medians and 99th percentiles with those of a run without. The last
line is one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts_native import Cache, Layer, Pool, Step, Weight, instruction_set

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Shape:
    """The shape of a decoder and its head."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocabulary: int


T3 = Shape(30, 1024, 16, 16, 64, 4096, 8194)
VIENEU = Shape(24, 896, 14, 2, 64, 4864, 65537)
TALKER = Shape(28, 1024, 16, 8, 128, 3072, 3072)
PREDICTOR = Shape(5, 1024, 16, 8, 128, 3072, 2048)
MODELS = {"t3": T3, "vieneu": VIENEU}
CODES = 15
"""Steps of the predictor in a frame, the first of which reads two positions."""


class Decoder:
    """A decoder of random weights with a cache that is filled up to some slots."""

    def __init__(
        self, shape: Shape, kind: str, pool: Pool, *, rows: int, filled: int, cap: int, heads: int = 1
    ) -> None:
        rng = np.random.default_rng(0)
        drawn = rng.standard_normal(2**22, dtype=np.float32) * 0.03

        def matrix(out: int, width: int, parts: int = 1) -> Weight:
            repeats = -(-out * width // len(drawn))
            values = np.tile(drawn, repeats)[: out * width].reshape(out, width)
            return Weight.pack(values, kind, parts=parts, pool=pool)

        s, ones = shape, np.ones(shape.hidden, np.float32)
        layers = [
            Layer(
                input_norm=ones,
                mlp_norm=ones,
                qkv=matrix((s.heads + 2 * s.kv_heads) * s.head_dim, s.hidden),
                out=matrix(s.hidden, s.heads * s.head_dim),
                gate_up=matrix(2 * s.mlp, s.hidden, 2),
                down=matrix(s.hidden, s.mlp),
            )
            for _ in range(s.layers)
        ]
        table = np.full((8192, s.head_dim), 0.7, np.float32)
        self.steps = [
            Step(
                layers, ones, heads=s.heads, kv_heads=s.kv_heads, head_dim=s.head_dim, eps=1e-6, cos=table, sin=table,
                head=matrix(s.vocabulary, s.hidden),
            )
            for _ in range(heads)
        ]  # fmt: skip
        self.pool, self.filled = pool, filled
        self._kv = rng.standard_normal((s.layers, 2, rows, s.kv_heads, cap + 1, s.head_dim), dtype=np.float32)
        self._kv = self._kv.astype(np.float16)
        self.slots, self.positions = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self._valid = np.zeros((rows, cap + 1), bool)
        self.cache = Cache(
            self._kv, slots=self.slots, positions=self.positions, valid=self._valid,
            rotations=np.zeros((rows, cap + 1), np.int64), active=np.ones(rows, bool),
        )  # fmt: skip
        self.x = rng.standard_normal((rows, s.hidden), dtype=np.float32)
        self.out, self.logits = np.empty_like(self.x), np.empty((rows, s.vocabulary), np.float32)
        self.kv_bytes = self._kv.nbytes * filled // (cap + 1)
        self.rewind()

    def rewind(self) -> None:
        """Go back to the slots that are filled."""
        self._valid[:] = False
        self._valid[:, : self.filled] = True
        self.slots[:] = self.positions[:] = self.filled

    def step(self, number: int = 0) -> None:
        """Decode one position of every row."""
        self.steps[number].run(self.x, self.cache, self.out, logits=self.logits, pool=self.pool)


@dataclass
class Case:
    """What is timed, and the bytes that it reads at least."""

    name: str
    run: Callable[[], None]
    nbytes: int
    seconds: list[float]


def decoder_case(name: str, kind: str, pool: Pool, *, rows: int, positions: int) -> Case:
    """One step of all rows."""
    decoder = Decoder(MODELS[name], kind, pool, rows=rows, filled=positions, cap=positions + 64)

    def run() -> None:
        decoder.rewind()
        decoder.step()

    return Case(f"{name} {kind} rows {rows}", run, decoder.steps[0].nbytes + decoder.kv_bytes, [])


def frame_case(kind: str, pool: Pool, *, rows: int, positions: int) -> Case:
    """One frame of Qwen3: a step of the talker, and the predictor's, each with a head of its own."""
    talker = Decoder(TALKER, kind, pool, rows=rows, filled=positions, cap=positions + 64)
    predictor = Decoder(PREDICTOR, kind, pool, rows=rows, filled=0, cap=32, heads=CODES)

    def run() -> None:
        talker.rewind()
        talker.step()
        predictor.rewind()
        predictor.step(0)
        for number in range(CODES):
            predictor.step(number)

    layers = predictor.steps[0].nbytes
    return Case(f"qwen3 frame {kind} rows {rows}", run, talker.steps[0].nbytes + talker.kv_bytes + 16 * layers, [])


def cases(arguments: argparse.Namespace, pool: Pool) -> list[Case]:
    """Make all that is to be timed."""
    made = []
    for model in arguments.models:
        for kind in arguments.kinds:
            for rows in arguments.rows:
                if model == "qwen3":
                    made.append(frame_case(kind, pool, rows=rows, positions=arguments.positions))
                else:
                    made.append(decoder_case(model, kind, pool, rows=rows, positions=arguments.positions))
    return made


def torch_work() -> Callable[[], object]:
    """Return a product that all threads of torch take part in."""
    import torch

    a = torch.ones(512, 512)
    return lambda: a @ a


def measure(timed: list[Case], pool: Pool, arguments: argparse.Namespace) -> list[float]:
    """Time all cases in rounds, and return the rates at which memory was read meanwhile."""
    rates: list[float] = []
    before_each = torch_work() if arguments.torch else lambda: None
    for _ in range(arguments.rounds):
        if not arguments.busy:
            rates += pool.read_rates(rounds=2)[1:]
        for case in timed:
            case.run()
            for _ in range(arguments.repeats):
                before_each()
                before = time.perf_counter()
                case.run()
                case.seconds.append(time.perf_counter() - before)
    return rates


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["t3", "vieneu", "qwen3"], choices=["t3", "vieneu", "qwen3"])
    parser.add_argument("--kinds", nargs="+", default=["int8", "int4"], choices=["int8", "int4", "bf16"])
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 2, 8, 12])
    parser.add_argument("--positions", type=int, default=300)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but keep a core")
    parser.add_argument("--torch", action="store_true", help="a product of torch before each step")
    arguments = parser.parse_args()
    pool = Pool(arguments.threads)
    timed = cases(arguments, pool)
    rates = pool.read_rates(rounds=3)[1:] if arguments.busy else []
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.busy)]
    try:
        rates += measure(timed, pool, arguments)
    finally:
        for process in busy:
            process.kill()
    rate = statistics.median(rates)
    print(f"{instruction_set()}, {pool.threads} threads, reads {rate / 1e9:.1f} GB/s")
    results: dict[str, Any] = {}
    for case in timed:
        seconds, floor = statistics.median(case.seconds), case.nbytes / rate
        print(
            f"{case.name:24} {seconds * 1e3:8.2f} ms  best {min(case.seconds) * 1e3:8.2f}  {case.nbytes / 1e6:6.0f} MB"
            f"  {case.nbytes / seconds / 1e9:5.1f} GB/s  floor {floor * 1e3:7.2f} ms  {seconds / floor:.2f}x"
        )
        last = sorted(case.seconds)[int(0.99 * (len(case.seconds) - 1))]
        results[case.name] = {"ms": seconds * 1e3, "p99_ms": last * 1e3, "floor_ms": floor * 1e3}
    print(json.dumps({"bytes_per_second": rate, "threads": pool.threads, "steps": results}))


if __name__ == "__main__":
    main()
