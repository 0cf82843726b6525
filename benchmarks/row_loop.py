"""One step of rows that come and go, by the number of rows, and what a row that joins costs.

``python benchmarks/row_loop.py --rows 1 2 4 8`` prints a table and, as its last line, the record in JSON. Weights are
random, and the default shape is that of Qwen3-TTS 0.6B's talker. Seconds are those of the thread that computes, so that
other work on the machine counts little; use one thread (``--threads 1``), or they leave out the others.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.decoder import Admission, Decoder, DecoderConfig, RowLoop
from realtts.accel.sampling import SamplingParams, SamplingRecipe
from realtts.bench.facts import machine_facts, now
from realtts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

_PARAMS = SamplingParams(temperature=0.8, top_k=50, stop_tokens=())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parsed = _parser().parse_args(arguments)
    torch.set_num_threads(parsed.threads)
    config = DecoderConfig(parsed.layers, parsed.hidden, parsed.heads, parsed.kv_heads, parsed.head_dim, parsed.mlp)
    record: dict[str, Any] = {
        "what": "row loop",
        "at": now(),
        "machine": machine_facts(Settings(threads=parsed.threads), {"torch": torch.__version__}),
        "shape": [config.layers, config.hidden_size, config.heads, config.kv_heads, config.head_dim, config.mlp_size],
        "prompt": parsed.prompt,
        "entries": [],
    }
    for precision in parsed.precision:
        entries = measure(config, precision, parsed.rows, prompt=parsed.prompt, steps=parsed.steps)
        record["entries"] += entries
        for entry in entries:
            sys.stdout.write(
                f"{precision:<5} {entry['rows']:>3} rows: {entry['step_s'] * 1e3:8.2f} ms a step, "
                f"{entry['rows'] / entry['step_s']:7.1f} tokens/s, joining {entry['join_s'] * 1e3:8.2f} ms\n"
            )
    sys.stdout.write(json.dumps(record) + "\n")
    return 0


@torch.inference_mode()
def measure(
    config: DecoderConfig, precision: str, rows: Sequence[int], *, prompt: int = 100, steps: int = 20
) -> list[dict[str, Any]]:
    """Measure the row loop with each number of rows.

    Args:
        config: Shape of the decoder.
        precision: Of the decoder.
        rows: Numbers of rows.
        prompt: Positions of each prompt.
        steps: Steps that are timed.

    Returns:
        JSON-able entries: precision, kernel, rows, median seconds of a step, seconds of a prompt.
    """
    vocabulary, draw = 3072, torch.Generator().manual_seed(0)
    decoder = Decoder.from_state_dict(config, _state(config, draw), precision=precision, rows=(1, 8))
    head = decoder.pack(torch.randn(vocabulary, config.hidden_size, generator=draw) * 0.02)
    embedding = torch.randn(vocabulary, config.hidden_size, generator=draw) * 0.02
    x = torch.randn(1, prompt, config.hidden_size, generator=draw) * 0.02
    recipe = SamplingRecipe(vocabulary, order=("temperature", "top_k"))
    cap = prompt + 3 * max(rows) + steps + 16

    def next_embedding(tokens: Tensor, _step: Tensor, _state: object) -> Tensor:
        return embedding[tokens]

    entries = []
    for count in rows:
        loop = RowLoop(decoder, head, next_embedding, recipe, places=count, cap=cap)
        joins = []
        for number in range(count):
            loop.admit(number, Admission(x, _PARAMS, seed=number, most=cap - prompt))
            joins.append(_timed(functools.partial(_joined, loop, number)))
        times = [_timed(loop.step) for _ in range(steps)]
        facts = {"precision": precision, "kernel": decoder.kernel.name, "rows": count}
        entries.append({**facts, "step_s": statistics.median(times), "join_s": joins[0]})
    return entries


def _joined(loop: RowLoop, number: int) -> None:
    while all(block.number != number for block in loop.step()):
        pass


def _timed(work: Callable[[], object]) -> float:
    before = time.thread_time()
    work()
    return time.thread_time() - before


def _state(config: DecoderConfig, draw: torch.Generator) -> dict[str, Tensor]:
    """Return random weights of a Llama."""
    hidden, heads, kv = config.hidden_size, config.heads * config.head_dim, config.kv_heads * config.head_dim
    shapes = {
        "self_attn.q_proj": (heads, hidden),
        "self_attn.k_proj": (kv, hidden),
        "self_attn.v_proj": (kv, hidden),
        "self_attn.o_proj": (hidden, heads),
        "mlp.gate_proj": (config.mlp_size, hidden),
        "mlp.up_proj": (config.mlp_size, hidden),
        "mlp.down_proj": (hidden, config.mlp_size),
    }
    state = {"model.norm.weight": torch.ones(hidden)}
    for layer in range(config.layers):
        for name, shape in shapes.items():
            weight = torch.randn(*shape, generator=draw) * 0.02
            state[f"model.layers.{layer}.{name}.weight"] = weight
        for name in ("input_layernorm", "post_attention_layernorm"):
            state[f"model.layers.{layer}.{name}.weight"] = torch.ones(hidden)
    return state


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python benchmarks/row_loop.py", description="Time steps of rows that come and go."
    )
    for name, default in (
        ("layers", 28), ("hidden", 1024), ("heads", 16), ("kv-heads", 8), ("head-dim", 128), ("mlp", 3072),
        ("prompt", 100), ("steps", 20), ("threads", 1),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--precision", nargs="+", choices=("fp32", "bf16", "int8", "int4"), default=["fp32", "int8"])
    return parser


if __name__ == "__main__":
    sys.exit(main())
