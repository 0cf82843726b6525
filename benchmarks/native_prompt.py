"""Time prompts on realtts-native in one call, layer by layer around torch's attention, and with torch's own kernels.

Run by hand on a quiet machine:

    OMP_NUM_THREADS=2 python benchmarks/native_prompt.py --models t3 vieneu talker --kinds int8 int4

A few layers of each decoder with random weights read prompts in chunks, as a loop does. The ways take turns, so that a
machine whose speed wanders slows them alike; seconds are of the wall and, in brackets, of the processor, per layer.
Compare the ratios. The last line is one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Decoder, DecoderConfig, Precision, Rope
from realtts.accel.decoder.weights import LayerWeights

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = {
    "t3": DecoderConfig(30, 1024, 16, 16, 64, 4096, rope=Rope(5e5)),
    "vieneu": DecoderConfig(24, 896, 14, 2, 64, 4864, rope=Rope(1e6), qkv_bias=True),
    "talker": DecoderConfig(28, 1024, 16, 8, 128, 3072, rope=Rope(1e6), qk_norm=True),
}
KV = {"float32": torch.float32, "float16": torch.float16}


def layer_of(config: DecoderConfig) -> LayerWeights:
    """Make a random layer."""
    generator, width = torch.Generator().manual_seed(0), config.hidden_size
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim

    def matrix(outputs: int, inputs: int) -> torch.Tensor:
        weight: torch.Tensor = torch.randn(outputs, inputs, generator=generator) / inputs**0.5
        return weight

    return LayerWeights(
        input_norm=torch.ones(width),
        input_norm_bias=None,
        qkv=matrix(queries + 2 * keys, width),
        qkv_bias=torch.zeros(queries + 2 * keys) if config.qkv_bias else None,
        q_norm=torch.ones(config.head_dim) if config.qk_norm else None,
        k_norm=torch.ones(config.head_dim) if config.qk_norm else None,
        out=matrix(width, queries),
        out_bias=None,
        mlp_norm=torch.ones(width),
        mlp_norm_bias=None,
        gate_up=matrix(2 * config.mlp_size, width),
        gate_up_bias=None,
        down=matrix(width, config.mlp_size),
        down_bias=None,
    )


def reading(decoder: Decoder, x: torch.Tensor, chunk: int, *, layered: bool) -> Callable[[], None]:
    """Return what reads a prompt in chunks."""
    cache = decoder.new_cache(len(x), x.shape[1])
    valid = torch.ones(len(x), chunk, dtype=torch.bool) if layered else None

    def run() -> None:
        cache.reset()
        for part in x.split(chunk, 1):
            decoder.prefill(part, cache, valid=None if valid is None else valid[:, : part.shape[1]])

    return run


def measure(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the median seconds of the wall and of the processor."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for at in range(rounds + 1):
        for name, run in ways.items():
            wall, processor = time.perf_counter(), time.process_time()
            run()
            if at:
                seconds[name].append((time.perf_counter() - wall, time.process_time() - processor))
    medians = {}
    for name, pairs in seconds.items():
        walls, processors = zip(*pairs, strict=True)
        medians[name] = statistics.median(walls), statistics.median(processors)
    return medians


@torch.inference_mode()
def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--kinds", nargs="+", default=["int8", "int4"], choices=["int8", "int4"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[32, 128, 512])
    parser.add_argument("--chunk", type=int, default=64)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--kv", default="float32", choices=KV)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch", action="store_true", help="torch's kernels, too")
    arguments = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    for model in arguments.models:
        shape = MODELS[model]
        config = DecoderConfig(**{**vars(shape), "layers": arguments.layers})
        layers = [layer_of(config)] * arguments.layers
        for kind in arguments.kinds:
            decoders = {
                native: Decoder(
                    config, layers, torch.ones(config.hidden_size), rows=(arguments.rows,),
                    precision=Precision(kind, torch.float32, KV[arguments.kv], native=native),
                )
                for native in ((True, False) if arguments.torch else (True,))
            }  # fmt: skip
            for length in arguments.lengths:
                x = torch.randn(arguments.rows, length, config.hidden_size)
                ways = {
                    "call": reading(decoders[True], x, arguments.chunk, layered=False),
                    "layers": reading(decoders[True], x, arguments.chunk, layered=True),
                }
                if arguments.torch:
                    ways["torch"] = reading(decoders[False], x, arguments.chunk, layered=False)
                case = f"{model} {kind} {arguments.rows} x {length}"
                found = measure(ways, arguments.rounds)
                results[case] = {name: wall * 1e3 / arguments.layers for name, (wall, _) in found.items()}
                parts = [
                    f"{name} {wall * 1e3 / arguments.layers:8.2f} ms ({processor * 1e3 / arguments.layers:.2f})"
                    for name, (wall, processor) in found.items()
                ]
                print(f"{case:22}", "  ".join(parts), f" layers/call {found['layers'][0] / found['call'][0]:.2f}")
    print(json.dumps({"chunk": arguments.chunk, "kv": arguments.kv, "ms_per_layer": results}))


if __name__ == "__main__":
    main()
