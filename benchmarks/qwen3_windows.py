"""What a frame costs Qwen3-TTS's codec, by the frames of a window and the rows that are decoded in one call.

``python benchmarks/qwen3_windows.py`` prints a table and, as its last line, the record in JSON. Weights are random, of
upstream's sizes. Seconds are those of the thread that computes, so that other work on the machine counts little; with
more than one thread they leave out the others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import torch

from realtts.bench.facts import machine_facts, now
from realtts.settings import Settings
from realtts_qwen3.checkpoint import random_codec
from realtts_qwen3.codec import CodecDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser("python benchmarks/qwen3_windows.py", description="Time windows of the codec.")
    parser.add_argument("--size", choices=("tiny", "full"), default="full")
    parser.add_argument("--frames", type=int, nargs="+", default=[1, 2, 4, 8, 12, 16, 32])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--dtype", nargs="+", choices=("float32", "bfloat16"), default=["float32"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(parsed.threads)
    config, state = random_codec(parsed.size, 0)
    windows: list[dict[str, Any]] = []
    for dtype in parsed.dtype:
        codec = CodecDecoder.read(config, state, dtype=getattr(torch, dtype)).compile()
        for rows in parsed.rows:
            for frames in parsed.frames:
                seconds = _seconds(codec, rows, frames, parsed.rounds) / (rows * frames)
                windows.append({"dtype": dtype, "rows": rows, "frames": frames, "s_per_frame": round(seconds, 5)})
                sys.stdout.write(f"{dtype}, {rows} rows, {frames} frames: {1000 * seconds:.2f} ms a frame\n")
                sys.stdout.flush()
    machine = machine_facts(Settings(threads=parsed.threads), {"torch": torch.__version__})
    record = {"what": "qwen3 windows", "at": now(), "size": parsed.size, "windows": windows, "machine": machine}
    sys.stdout.write(json.dumps(record) + "\n")
    return 0


def _seconds(codec: CodecDecoder, rows: int, frames: int, rounds: int) -> float:
    """Return the median seconds of a window behind some others."""
    state, codes = codec.start(rows), torch.zeros(rows, frames, codec.quantizers, dtype=torch.int64)
    spent = []
    for _ in range(rounds + 1):
        begin = time.thread_time()
        codec.push(state, codes)
        spent.append(time.thread_time() - begin)
    return statistics.median(spent[1:])


if __name__ == "__main__":
    sys.exit(main())
