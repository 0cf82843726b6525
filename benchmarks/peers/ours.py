"""Our steps: one line of JSON for each line on standard input, so that another program can take turns with it.

Run by `compare.py`; needs realtts[torch], and realtts-native for the kinds ``native-...``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from llama_cpp import SHAPES, Shape

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]


def main() -> None:
    """Make a decoder for each number of rows, and time steps whenever a line comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--kind", required=True, help="int8, int4, native-int8 or native-int4")
    parser.add_argument("--rows", type=int, nargs="+", required=True)
    parser.add_argument("--positions", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    make = _native if arguments.kind.startswith("native-") else _torch
    runs = make(SHAPES[arguments.shape], arguments)
    for _ in sys.stdin:
        record = {}
        for rows, run in runs.items():
            run()
            before = time.perf_counter()
            for _ in range(arguments.steps):
                run()
            record[rows] = (time.perf_counter() - before) / arguments.steps
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()


def _torch(shape: Shape, arguments: argparse.Namespace) -> dict[int, Callable[[], Any]]:
    """Return steps of the toolkit's decoder with its head, without sampling, as llama.cpp's program makes them."""
    import torch

    from realtts.accel.decoder import Decoder, DecoderConfig
    from realtts.accel.decoder.reading import read_layers

    torch.set_num_threads(arguments.threads)
    config = DecoderConfig(
        layers=shape.layers, hidden_size=shape.hidden, heads=shape.heads, kv_heads=shape.kv_heads,
        head_dim=shape.head_dim, mlp_size=shape.mlp, qk_norm=shape.architecture == "qwen3",
        qkv_bias=shape.architecture == "qwen2",
    )  # fmt: skip
    draw = torch.Generator().manual_seed(0)

    class Random(dict):  # type: ignore[type-arg]
        """Tensors that are drawn when they are asked for."""

        def __getitem__(self, name: str) -> torch.Tensor:
            return 0.03 * torch.randn(super().__getitem__(name), generator=draw)

    from realtts.accel.decoder.naming import LLAMA

    shapes = {f"layers.{n}.{name}": size for n in range(config.layers) for name, size in LLAMA.shapes(config).items()}
    state = Random({**shapes, "norm.weight": (config.hidden_size,)})
    layers, norm, _ = read_layers(config, state, "")
    decoder = Decoder(config, layers, norm, precision=arguments.kind, rows=tuple(arguments.rows))
    head = decoder.pack(0.03 * torch.randn(shape.vocabulary, shape.hidden, generator=draw))

    def step_of(rows: int) -> Callable[[], Any]:
        cap = arguments.positions + 2 * arguments.steps + 8
        cache, x = decoder.new_cache(rows, cap), torch.randn(rows, shape.hidden, generator=draw)
        prompt = torch.randn(rows, arguments.positions, shape.hidden, generator=draw)

        @torch.inference_mode()
        def run() -> None:
            if cache.filled + 1 >= cap or not cache.filled:
                cache.reset()
                decoder.prefill(prompt, cache)
            head(decoder.step(x, cache))

        run()
        return run

    return {rows: step_of(rows) for rows in arguments.rows}


def _native(shape: Shape, arguments: argparse.Namespace) -> dict[int, Callable[[], Any]]:
    """Return steps of the fused native step, as `benchmarks/native_step.py` makes them."""
    import native_step
    from realtts_native import Pool

    pool, kind = Pool(arguments.threads), arguments.kind.removeprefix("native-")
    own = native_step.Shape(
        shape.layers, shape.hidden, shape.heads, shape.kv_heads, shape.head_dim, shape.mlp, shape.vocabulary
    )
    runs: dict[int, Callable[[], Any]] = {}
    for rows in arguments.rows:
        cap = arguments.positions + 64
        decoder = native_step.Decoder(own, kind, pool, rows=rows, filled=arguments.positions, cap=cap)

        def run(decoder: Any = decoder) -> None:
            decoder.rewind()
            decoder.step()

        runs[rows] = run
    return runs


if __name__ == "__main__":
    main()
