"""One decode step of a Llama-shaped decoder, ours at each precision against transformers' in float32.

``python benchmarks/decode_step.py --rows 2`` prints a table and, as its last line, the record in JSON.
The default shape is that of Chatterbox's T3. Weights are random: only speed and rounding are
measured, and both depend on the shape.
"""

from __future__ import annotations

import argparse
import gc
import inspect
import json
import platform
import statistics
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.decoder import Admission, Decoder, DecoderConfig, Precision, RowLoop
from realtts.accel.kernels import native
from realtts.accel.precision import name_of
from realtts.accel.sampling import SamplingParams, SamplingRecipe
from realtts.bench.facts import machine_facts, now
from realtts.bench.floor import torch_rates
from realtts.errors import MissingExtra
from realtts.machine.hardware import physical_cores
from realtts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from realtts.accel.kernels import PackedLinear

__all__ = ["main", "measure"]

_PRECISIONS = ("fp32", "bf16", "int8", "int4", "native-int8", "native-int4")
_DEFAULT = tuple(name for name in _PRECISIONS if native.usable() or not name.startswith("native-"))
_ORDER = ("guidance", "repetition_penalty", "temperature", "min_p", "top_p")
_SAMPLING = SamplingParams(temperature=0.8, min_p=0.05, repetition_penalty=1.2, guidance=0.5)
_FORCED_PROMPT, _FORCED_STEPS = 16, 24


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parsed = _parser().parse_args(arguments)
    before = torch.get_num_threads()
    torch.set_num_threads(parsed.threads or physical_cores())
    try:
        record = measure(
            DecoderConfig(parsed.layers, parsed.hidden, parsed.heads, parsed.kv_heads, parsed.head_dim, parsed.mlp),
            vocabulary=parsed.vocabulary,
            rows=parsed.rows,
            positions=parsed.positions,
            precisions=parsed.precision,
            repeats=parsed.repeats,
        )
    finally:
        torch.set_num_threads(before)
    sys.stdout.write("\n".join([*_table(record), json.dumps(record), ""]))
    return 0


def measure(
    config: DecoderConfig,
    *,
    vocabulary: int = 8194,
    rows: Sequence[int] = (2,),
    positions: int = 300,
    precisions: Sequence[str] = _DEFAULT,
    repeats: int = 12,
) -> dict[str, Any]:
    """Measure whole steps: embedding, layers, head, guidance and sampling; ours and the reference's in turns.

    Args:
        config: Shape of the decoder.
        vocabulary: Number of logits.
        rows: Even numbers of rows; half of them are streams, which have two rows each for guidance.
        positions: Cached positions before the first step.
        precisions: Precisions of ours; ``native-`` for those of realtts-native.
        repeats: Steps of each that are timed.

    Returns:
        A JSON-able record: machine, rates, and one entry for each precision and number of rows.

    Raises:
        MissingExtra: transformers is not installed.
    """
    state, reference = _reference(config)
    head = torch.randn(vocabulary, config.hidden_size, generator=torch.Generator().manual_seed(1)) * 0.02
    record: dict[str, Any] = {
        "what": "decode step",
        "at": now(),
        "machine": machine_facts(Settings(threads=torch.get_num_threads()), _versions()),
        "rates": torch_rates("cpu"),
        "positions": positions,
        "vocabulary": vocabulary,
        "entries": [],
    }
    exact = _reference_logits(reference, head)
    for precision in precisions:
        types = replace(
            Precision.of(precision.removeprefix("native-"), torch.device("cpu")), native=precision.startswith("native-")
        )
        decoder = Decoder.from_state_dict(config, state, prefix="", precision=types, rows=tuple(rows))
        forced = _forced_logits(decoder, decoder.pack(head))
        for count in rows:
            entry = _compared(decoder, head, reference, rows=count, positions=positions, repeats=repeats)
            entry["floor_s"] = entry["bytes"] / record["rates"]["bytes_per_s"]
            entry["logit_error"] = float((forced - exact).norm() / exact.norm())
            record["entries"].append(entry)
        del decoder
        gc.collect()
    return record


def _compared(
    decoder: Decoder, head: Tensor, reference: Any, *, rows: int, positions: int, repeats: int
) -> dict[str, Any]:
    """One precision against the reference with as many rows, and with the two rows of a single stream."""
    packed = decoder.pack(head)
    loop = _loop(decoder, packed, head, rows=rows, positions=positions, repeats=repeats)
    runs: dict[str, Callable[[], Any]] = {
        "ours": loop.step,
        "reference": _reference_step(reference, head, rows, positions),
        "single": _reference_step(reference, head, 2, positions),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode():
        for run in runs.values():
            run()
        for _ in range(repeats):
            for name, run in runs.items():
                before = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - before)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "precision": f"{'native-' * bool(decoder.precision.native)}{decoder.precision.weights}",
        "rows": rows,
        "kernel": decoder.kernel.name,
        "kv": name_of(decoder.kv_dtype),
        "step_s": median["ours"],
        "spread_s": [min(seconds["ours"]), max(seconds["ours"])],
        "transformers_s": median["reference"],
        "ratio": median["reference"] / median["ours"],
        "ratio_per_row": (median["single"] / 2) / (median["ours"] / rows),
        "bytes": decoder.step_cost(packed, loop.cache, rows)[1],
    }


def _loop(decoder: Decoder, packed: PackedLinear, head: Tensor, *, rows: int, positions: int, repeats: int) -> RowLoop:
    """Make a loop in the middle of a request that will not end."""
    streams = rows // 2
    vocabulary, width = head.shape
    embedding = torch.randn(vocabulary, width, generator=torch.Generator().manual_seed(2)) * 0.02
    loop = RowLoop(
        decoder,
        packed,
        lambda tokens, _step, _state: embedding[tokens].repeat(2, 1),
        SamplingRecipe(vocabulary, order=_ORDER),
        places=streams,
        cap=positions + repeats + 64 + streams,
        check_every=1,
        chunk=positions,
    )
    prompts = torch.randn(streams, 2, positions, width, generator=torch.Generator().manual_seed(3)) * 0.02
    for stream, prompt in enumerate(prompts):
        loop.admit(stream, Admission(prompt, _SAMPLING, seed=stream, most=repeats + 8 + streams))
        loop.step()  # reads the whole prompt
    return loop


def _forced_inputs(width: int) -> Tensor:
    """Draw inputs of a prompt and of some steps, (2, prompt + steps, width)."""
    return torch.randn(2, _FORCED_PROMPT + _FORCED_STEPS, width, generator=torch.Generator().manual_seed(4)) * 0.02


def _forced_logits(decoder: Decoder, head: Callable[[Tensor], Tensor]) -> Tensor:
    """Ours for each forced step, (2, steps, vocabulary)."""
    inputs = _forced_inputs(decoder.config.hidden_size)
    cache = decoder.new_cache(2, inputs.shape[1])
    with torch.inference_mode():
        decoder.prefill(inputs[:, :_FORCED_PROMPT], cache)
        steps = inputs[:, _FORCED_PROMPT:].unbind(1)
        return torch.stack([head(decoder.step(x, cache)).float() for x in steps], 1)


def _reference_logits(model: Any, head: Tensor) -> Tensor:
    """Return the reference's logits for each forced step, (2, steps, vocabulary)."""
    with torch.inference_mode():
        hidden = model(inputs_embeds=_forced_inputs(head.shape[1])).last_hidden_state
        logits: Tensor = hidden[:, _FORCED_PROMPT:] @ head.T
        return logits


def _reference(config: DecoderConfig) -> tuple[dict[str, Tensor], Any]:
    try:
        import transformers
    except ImportError:
        raise MissingExtra(
            "transformers is not installed", who="decode_step", fix="run: pip install transformers"
        ) from None
    settings = transformers.LlamaConfig(
        vocab_size=8,
        hidden_size=config.hidden_size,
        intermediate_size=config.mlp_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        head_dim=config.head_dim,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = transformers.LlamaModel(settings)
        model.eval()
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("embed")}
    return state, model


def _reference_step(model: Any, head: Tensor, rows: int, positions: int) -> Callable[[], Any]:
    """Make a step of transformers: layers, head, guidance, softmax and torch.multinomial, on its own dynamic cache."""
    from transformers import DynamicCache

    width = head.shape[1]
    cache = DynamicCache(config=model.config)
    newer = "cache" in inspect.signature(model.forward).parameters  # transformers 5.24 renamed it
    cached = {"cache" if newer else "past_key_values": cache, "use_cache": True}
    with torch.inference_mode():
        model(inputs_embeds=torch.zeros(rows, positions, width), **cached)
    x = torch.zeros(rows, 1, width)
    generator = torch.Generator().manual_seed(0)

    def step() -> Tensor:
        hidden = model(inputs_embeds=x, **cached).last_hidden_state
        conditional, unconditional = (hidden[:, -1] @ head.T).chunk(2)
        p = (conditional + 0.5 * (conditional - unconditional)).div(0.8).softmax(-1)
        drawn: Tensor = torch.multinomial(p, 1, generator=generator)
        return drawn

    return step


def _versions() -> dict[str, str | None]:
    import transformers

    return {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}


def _table(record: dict[str, Any]) -> list[str]:
    titles = "kernel            kv         ms/step  transformers  ratio  per row  x floor  logits"
    return [f"precision    rows  {titles}", *map(_line, record["entries"])]


def _line(entry: dict[str, Any]) -> str:
    return (
        f"{entry['precision']:<11}  {entry['rows']:>4}  {entry['kernel']:<16}  {entry['kv']:<9}"
        f"  {entry['step_s'] * 1e3:>7.1f}  {entry['transformers_s'] * 1e3:>12.1f}  {entry['ratio']:>5.1f}"
        f"  {entry['ratio_per_row']:>7.1f}  {entry['step_s'] / entry['floor_s']:>7.2f}  {entry['logit_error']:.1e}"
    )


def _size(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("give a positive number")
    return value


def _even(text: str) -> int:
    if _size(text) % 2:
        raise argparse.ArgumentTypeError("give an even number: guidance takes two rows for a stream")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python benchmarks/decode_step.py", description="Time one decode step.")
    for name, default in (  # all of them sizes
        ("layers", 30), ("hidden", 1024), ("heads", 16), ("kv-heads", 16), ("head-dim", 64), ("mlp", 4096),
        ("vocabulary", 8194), ("positions", 300), ("repeats", 12),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=_size, default=default)
    parser.add_argument("--rows", type=_even, nargs="+", default=[2], help="even numbers")
    parser.add_argument("--precision", nargs="+", choices=_PRECISIONS, default=list(_DEFAULT))
    parser.add_argument("--threads", type=_size, help="default: physical cores")
    return parser


if __name__ == "__main__":
    sys.exit(main())
