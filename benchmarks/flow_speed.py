"""What a flow's parts take on each rung: a block, a step, attention and vocoders, all ways in turns.

``python benchmarks/flow_speed.py --model f5`` prints a table and, as its last line, the record in JSON. Weights are
random, which changes no time. Each way is run once before it is timed; then all ways of a part take turns, and the
median of each is shown beside the ratio to the first. The plugins have to be installed, for the native ways
realtts-native too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from realtts.accel.kernels import Dense
from realtts.accel.kernels.rows import RowLayer, attend_packed, why_no_rows
from realtts.accel.layers.bidirectional import QUERY_SCALE, attend
from realtts.bench.facts import machine_facts, now
from realtts.bench.floor import torch_rates
from realtts.contract.spec import Checkpoint
from realtts.machine.hardware import physical_cores
from realtts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Way = Callable[[], object]
    Ways = Mapping[str, Way]

__all__ = ["main", "measure"]

MODELS = ("f5", "chatterbox")
_CHATTERBOX_WIDTH = 512
_RUNGS: dict[str, tuple[torch.dtype, dict[str, Any]]] = {
    "float32": (torch.float32, {"attention": "own"}),
    "float32, native attention": (torch.float32, {"attention": "native"}),
    "bfloat16": (torch.bfloat16, {"attention": "own"}),
    "bfloat16, native attention": (torch.bfloat16, {"attention": "native-rounded"}),
    "w8a8": (torch.float32, {"attention": "native-rounded", "rounded": True}),
}
"""Ways to compute a flow: type, and what `convert` is given."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parsed = _parser().parse_args(arguments)
    before = torch.get_num_threads()
    torch.set_num_threads(parsed.threads or physical_cores())
    try:
        record = measure(parsed)
    finally:
        torch.set_num_threads(before)
    sys.stdout.write("\n".join([*_table(record), json.dumps(record), ""]))
    return 0


def measure(parsed: argparse.Namespace) -> dict[str, Any]:
    """Time every part; a JSON-able record."""
    record: dict[str, Any] = {
        "what": "flow speed",
        "at": now(),
        "machine": machine_facts(Settings(threads=torch.get_num_threads()), _versions()),
        "rates": torch_rates("cpu"),
        "no_native": why_no_rows(),
        "arguments": vars(parsed),
        "entries": [],
    }
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        for part, ways in _parts(parsed, Path(folder)):
            entries = _in_turns(part, ways, parsed.repeats)
            record["entries"] += entries
            sys.stderr.write("".join(f"{_line(entry)}\n" for entry in entries))
    return record


def _parts(parsed: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Ways]]:
    """Yield each part with its ways; one model's weights are there at a time."""
    for width, name in ((1024, "F5"), (_CHATTERBOX_WIDTH, "Chatterbox")):
        frames = int(parsed.seconds * {"F5": 93.75, "Chatterbox": 50}[name])
        yield f"{name}: attention of 2 x {frames} frames", _attention(width // 64, frames)
    yield from _products(int(parsed.seconds * 93.75) * 2)
    for model in parsed.model:
        yield from {"f5": _f5, "chatterbox": _chatterbox}[model](parsed, folder / model)


def _attention(heads: int, frames: int) -> Ways:
    qkv = torch.randn(2 * frames, 3 * heads * 64, generator=torch.Generator().manual_seed(0))
    qkv[:, : heads * 64] *= QUERY_SCALE / math.sqrt(64)
    half, spans = qkv.bfloat16(), [(0, frames), (frames, frames)]

    def split(x: torch.Tensor) -> torch.Tensor:
        return x.view(2, frames, 3, heads, 64).permute(2, 0, 3, 1, 4)

    def native(x: torch.Tensor, *, exact: bool) -> torch.Tensor:
        out = x.new_empty(2 * frames, heads * 64)
        attend_packed(x, out, heads=heads, spans=spans, exact=exact)
        return out

    def fused(x: torch.Tensor) -> torch.Tensor:
        q, k, v = split(x)
        return functional.scaled_dot_product_attention(q, k, v, scale=math.log(2))

    ways: dict[str, Way] = {
        "float32: two products": lambda: attend(*split(qkv)),
        "float32: torch": lambda: fused(qkv),
        "bfloat16: two products": lambda: attend(*split(half)),
        "bfloat16: torch": lambda: fused(half),
    }
    if why_no_rows() is None:
        ways["float32: native"] = lambda: native(qkv, exact=True)
        ways["float32: native, 12 bits"] = lambda: native(qkv, exact=False)
        ways["bfloat16: native, 12 bits"] = lambda: native(half, exact=False)
    return ways


def _products(rows: int) -> Iterator[tuple[str, Ways]]:
    """Yield single products of a DiT's shapes; torch's own float32 shows what oneDNN gains, on AMD most of all."""
    for outputs, inputs in ((3072, 1024), (1024, 1024), (2048, 1024), (1024, 2048)):
        draw = torch.Generator().manual_seed(outputs)
        x, weight = torch.randn(rows, inputs, generator=draw), torch.randn(outputs, inputs, generator=draw)
        half = x.bfloat16()
        single, halved = Dense(weight, None, torch.float32), Dense(weight, None, torch.bfloat16)
        single.pack()
        halved.pack()
        ways: dict[str, Way] = {
            "float32: torch": partial(functional.linear, x, weight),
            "float32: oneDNN": partial(single, x),
            "bfloat16: oneDNN": partial(halved, half),
        }
        if why_no_rows() is None:
            ways["w8a8: native"] = partial(RowLayer(weight, None), x)
        yield f"product {rows} x {inputs} -> {outputs}", ways


def _rungs() -> dict[str, tuple[torch.dtype, dict[str, Any]]]:
    return {name: how for name, how in _RUNGS.items() if why_no_rows() is None or "own" in how[1].values()}


def _f5(parsed: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Ways]]:
    """Yield a block, a step of the solver and the vocoder of F5-TTS."""
    from realtts_f5.building import empty_model
    from realtts_f5.checkpoint import architecture_of
    from realtts_f5.euler import advance
    from realtts_f5.loading import fetch, open_checkpoint
    from realtts_f5.network import Item, Network
    from realtts_f5.schedule import times
    from realtts_f5.testing import write_random_checkpoint
    from realtts_f5.vocoder import Vocoder

    frames, device = int(parsed.seconds * 93.75), torch.device("cpu")
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(frames, 100, generator=draw)
    item = Item(noise[: frames // 3], torch.randint(0, 60, (frames // 6,), generator=draw), frames, noise)
    full = architecture_of("f5-v1-base", parsed.size)
    for what, depth in (("block", 1), ("step", parsed.depth or full.depth)):
        architecture = replace(full, depth=depth)
        state = {
            name: 0.02 * torch.randn(tensor.shape, generator=draw)
            for name, tensor in empty_model(architecture, 60).named_parameters()
        }
        ways: dict[str, Way] = {}
        for name, (dtype, how) in _rungs().items():
            network = Network(architecture, state, device=device)
            network.convert(state, dtype, **how)
            network.pack()
            conditioning, step = network.condition([item], 2), network.steps(times(8, -1.0))[0]
            if what == "block":
                h = torch.randn(2 * frames, architecture.dim).to(dtype)
                ways[name] = partial(network._backbone, h, step, conditioning.layout, conditioning.rotary)
            else:
                x = noise.clone()
                ways[name] = partial(advance, network, x, step, conditioning, delta=1e-3, guidance=2.0)
        yield f"F5: {what}, {depth} block{'s' * (depth > 1)}, 2 x {frames} frames", ways
    write_random_checkpoint(folder, parsed.size)
    weights = open_checkpoint(fetch(Checkpoint("bench", path=folder)))
    vocoder = Vocoder(weights.vocoder_state, device)
    yield f"F5: vocoder, {frames} frames", {"float32": lambda: vocoder.samples(noise)}


def _chatterbox(parsed: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Ways]]:
    """Yield a step of the estimator and the vocoder of Chatterbox."""
    from realtts.accel.weights.tensorfile import Tensors
    from realtts_chatterbox.estimator import Estimator
    from realtts_chatterbox.layout import Layout, Packing
    from realtts_chatterbox.loading import fetch, open_checkpoint
    from realtts_chatterbox.noise import Noise
    from realtts_chatterbox.testing import write_random_checkpoint
    from realtts_chatterbox.vocoder import Vocoder

    write_random_checkpoint(folder, parsed.size)
    state = open_checkpoint(fetch(Checkpoint("bench", path=folder))).s3gen_state
    frames, device = int(parsed.seconds * 50), torch.device("cpu")
    layout = Layout.of(Packing((frames,), 2), device)
    draw = torch.Generator().manual_seed(0)
    x, conditioning = torch.randn(frames + 2, 80, generator=draw), torch.randn(frames + 2, 240, generator=draw)
    ways: dict[str, Way] = {}
    for name, (dtype, how) in _rungs().items():
        network = Estimator(Tensors(state, "flow.decoder.estimator."), device, dtype, **how)
        prepared = network.prepared(layout, conditioning, torch.linspace(0, 1, 11))
        ways[name] = partial(network, x, 3, prepared)
    yield f"Chatterbox: estimator, 2 x {frames} frames", ways
    vocoder, noise = Vocoder(Tensors(state, "mel2wav."), device), Noise(0)
    mel = torch.randn(80, frames, generator=draw)
    yield f"Chatterbox: vocoder, {frames} frames", {"float32": lambda: vocoder.samples(mel, noise)}


def _in_turns(part: str, ways: Ways, repeats: int) -> list[dict[str, Any]]:
    """Time ways in turns."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            before = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - before)
    first = statistics.median(next(iter(seconds.values())))
    return [
        {
            "part": part,
            "way": name,
            "seconds": statistics.median(values),
            "spread": [min(values), max(values)],
            "ratio": statistics.median(values) / first,
        }
        for name, values in seconds.items()
    ]


def _versions() -> dict[str, str | None]:
    return {"python": platform.python_version(), "torch": torch.__version__}


def _table(record: dict[str, Any]) -> list[str]:
    lines = [_line(entry) for entry in record["entries"]]
    return lines if record["no_native"] is None else [*lines, f"without native kernels: {record['no_native']}"]


def _line(entry: dict[str, Any]) -> str:
    low, high = (1e3 * end for end in entry["spread"])
    took = f"{1e3 * entry['seconds']:>9.1f} ms ({low:.1f} to {high:.1f})"
    return f"{entry['part']:<44}  {entry['way']:<27}  {took:<34}  {entry['ratio']:>5.2f}"


def _parser() -> argparse.ArgumentParser:
    installed = [name for name in MODELS if importlib.util.find_spec(f"realtts_{name}") is not None]
    parser = argparse.ArgumentParser("python benchmarks/flow_speed.py", description="Time the parts of a flow.")
    parser.add_argument("--model", nargs="*", choices=MODELS, default=installed)
    parser.add_argument("--size", choices=("tiny", "full"), default="full")
    parser.add_argument("--seconds", type=float, default=11.8, help="of sound")
    parser.add_argument("--depth", type=int, help="blocks of F5's step; default: all")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, help="default: physical cores")
    return parser


if __name__ == "__main__":
    sys.exit(main())
