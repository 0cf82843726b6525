"""What a precision costs in spectrograms: the whole solver, running freely, against float32.

``python benchmarks/flow_quality.py --model f5`` prints a table and, as its last line, the record in JSON. Every
precision begins with the same noise and takes the default steps with the default guidance, so that errors add up as
they do in speech. Two kinds of weights stand for a checkpoint where none is at hand: normally distributed ones, and
heavy-tailed ones (Student's t with three degrees of freedom, a few channels six times as large), as those of trained
networks are. The plugin has to be installed, for W8A8 realtts-native too.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.kernels.rows import why_no_rows
from realtts.bench.facts import machine_facts, now
from realtts.contract.spec import Checkpoint
from realtts.errors import MissingExtra
from realtts.machine.hardware import physical_cores
from realtts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    Ways = Mapping[str, Callable[[], list[Tensor]]]

__all__ = ["LIMITS", "heavy_tailed", "main", "measure"]

LIMITS = {"f5": 0.03, "chatterbox": 0.05}
"""Most relative error of the spectrogram that W8A8 may have."""

WEIGHTS = ("normal", "heavy")
_FREEDOM, _LARGE, _SHARE = 3, 6.0, 0.01
_SMALLEST = 4096
"""Numbers in a weight that is made heavy-tailed at least; norms and biases are left."""

_PARTS = {"f5": "transformer_blocks.", "chatterbox": "flow.decoder.estimator."}
"""What the weights have in their names whose precision differs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 1 where W8A8 is beyond its limit."""
    parsed = _parser().parse_args(arguments)
    before = torch.get_num_threads()
    torch.set_num_threads(parsed.threads or physical_cores())
    try:
        record = measure(parsed)
    finally:
        torch.set_num_threads(before)
    sys.stdout.write("\n".join([*_table(record), json.dumps(record), ""]))
    return int(any(entry["beyond"] for entry in record["entries"]))


def measure(parsed: argparse.Namespace) -> dict[str, Any]:
    """Run every precision of every kind of weights; a JSON-able record."""
    record: dict[str, Any] = {
        "what": "flow quality",
        "at": now(),
        "machine": machine_facts(Settings(threads=torch.get_num_threads()), _versions()),
        "arguments": {key: value for key, value in vars(parsed).items() if key != "threads"},
        "no_w8a8": why_no_rows(),
        "entries": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        for model in parsed.model:
            open_model = {"f5": _f5, "chatterbox": _chatterbox}[model]
            for kind in parsed.weights:
                for seed in range(parsed.seeds):
                    place = Path(folder) / f"{model}-{seed}"
                    record["entries"] += _compared(model, kind, seed, open_model(place, kind, seed, parsed))
    return record


def heavy_tailed(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors with heavy-tailed weights where the name has ``part`` in it, of the same norm as before."""
    return {name: _heavy(name, tensor) if part in name else tensor for name, tensor in state.items()}


def _heavy(name: str, tensor: Tensor) -> Tensor:
    if tensor.dim() < 2 or tensor.numel() < _SMALLEST:
        return tensor
    draw = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    chi = sum(torch.randn(tensor.shape, generator=draw).square_() for _ in range(_FREEDOM))
    heavy = torch.randn(tensor.shape, generator=draw) / (chi / _FREEDOM) ** 0.5
    for dim in (0, 1):
        count = max(1, int(tensor.shape[dim] * _SHARE))
        chosen = torch.randperm(tensor.shape[dim], generator=draw)[:count]
        heavy.index_copy_(dim, chosen, heavy.index_select(dim, chosen) * _LARGE)
    scaled: Tensor = heavy * (tensor.norm() / heavy.norm())
    return scaled


def _compared(model: str, kind: str, seed: int, ways: Ways) -> list[dict[str, Any]]:
    """Compare what each way computes with what the first does."""
    entries: list[dict[str, Any]] = []
    expected: list[Tensor] = []
    for precision, compute in ways.items():
        mels = compute()
        gc.collect()
        expected = expected or mels
        pairs = list(zip(mels, expected, strict=True))
        error = max(float((mel - right).norm() / right.norm()) for mel, right in pairs)
        worst = max(float((mel - right).abs().max() / right.std()) for mel, right in pairs)
        entries.append(
            {
                "model": model,
                "weights": kind,
                "seed": seed,
                "precision": precision,
                "error": error,
                "worst_over_std": worst,
                "beyond": precision == "w8a8" and not error <= LIMITS[model],
            }
        )
        sys.stderr.write(f"{_line(entries[-1])}\n")
    return entries


def _precisions(parsed: argparse.Namespace) -> list[tuple[str, torch.dtype, bool]]:
    known = {"float32": (torch.float32, False), "bfloat16": (torch.bfloat16, False), "w8a8": (torch.float32, True)}
    names = ["float32", *(name for name in parsed.precision if name != "float32")]
    return [(name, *known[name]) for name in names if name != "w8a8" or why_no_rows() is None]


def _f5(folder: Path, kind: str, seed: int, parsed: argparse.Namespace) -> Ways:
    """Return the ways to compute the speech of a chunk with F5-TTS."""
    from realtts_f5.loading import fetch, open_checkpoint
    from realtts_f5.network import Item, Network
    from realtts_f5.schedule import times
    from realtts_f5.solver import solve
    from realtts_f5.testing import write_random_checkpoint

    if not folder.exists():
        write_random_checkpoint(folder, parsed.size, seed)
    weights = open_checkpoint(fetch(Checkpoint("bench", path=folder)))
    state = dict(weights.model_state.items())
    if kind == "heavy":
        state = heavy_tailed(state, _PARTS["f5"])
    draw = torch.Generator().manual_seed(seed)
    frames = int(parsed.seconds * 24000 / 256)
    reference = frames // 3
    noise = torch.randn(frames, 100, generator=draw)
    ids = torch.randint(0, 60, (frames // 6,), generator=draw)
    item = Item(torch.randn(reference, 100, generator=draw), ids, frames, noise)

    def compute(dtype: torch.dtype, *, rounded: bool) -> list[Tensor]:
        network = Network(weights.architecture, state, device=torch.device("cpu"))
        network.convert(state, dtype, rounded=rounded, attention="native-rounded" if rounded else "own")
        network.pack()
        schedule = times(parsed.steps or 32, -1.0)
        return [mel[reference:] for mel in solve(network, [item], times=schedule, guidance=2.0)]

    return {name: _bound(compute, dtype, rounded) for name, dtype, rounded in _precisions(parsed)}


def _chatterbox(folder: Path, kind: str, seed: int, parsed: argparse.Namespace) -> Ways:
    """Return the ways to compute the speech of some tokens with Chatterbox."""
    from realtts.accel.weights.tensorfile import Tensors
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.flow import Flow
    from realtts_chatterbox.loading import fetch, open_checkpoint
    from realtts_chatterbox.noise import Noise
    from realtts_chatterbox.testing import write_random_checkpoint

    if not folder.exists():
        write_random_checkpoint(folder, parsed.size, seed)
    weights = open_checkpoint(fetch(Checkpoint("bench", path=folder)))
    state = {name: weights.s3gen_state[name] for name in weights.s3gen_state if name.startswith("flow.")}
    if kind == "heavy":
        state = heavy_tailed(state, _PARTS["chatterbox"])
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 6561, (int(parsed.seconds * 25),), generator=draw)
    voice = Conditionals(
        speaker=torch.zeros(1, 256),
        t3_tokens=None,
        tokens=torch.randint(0, 6561, (1, 75), generator=draw),
        mel=torch.randn(1, 150, 80, generator=draw),
        embedding=torch.randn(1, 192, generator=draw),
    )

    def compute(dtype: torch.dtype, *, rounded: bool) -> list[Tensor]:
        flow = Flow(Tensors(state, "flow."), torch.device("cpu"))
        attention = "native-rounded" if rounded else "own"
        flow.convert(Tensors(state, "flow."), dtype, attention=attention, rounded=rounded)
        return flow.mel([tokens], [voice], [Noise(seed)], steps=parsed.steps)

    return {name: _bound(compute, dtype, rounded) for name, dtype, rounded in _precisions(parsed)}


def _bound(compute: Callable[..., list[Tensor]], dtype: torch.dtype, rounded: bool) -> Callable[[], list[Tensor]]:
    return lambda: compute(dtype, rounded=rounded)


def _versions() -> dict[str, str | None]:
    return {"python": platform.python_version(), "torch": torch.__version__}


def _table(record: dict[str, Any]) -> list[str]:
    lines = ["model       weights  seed  precision   error   worst/std", *map(_line, record["entries"])]
    return lines if record["no_w8a8"] is None else [*lines, f"without W8A8: {record['no_w8a8']}"]


def _line(entry: dict[str, Any]) -> str:
    mark = f"  beyond {LIMITS[entry['model']]:.0%}" if entry["beyond"] else ""
    return (
        f"{entry['model']:<10}  {entry['weights']:<7}  {entry['seed']:>4}  {entry['precision']:<9}"
        f"  {entry['error']:>7.3%}  {entry['worst_over_std']:>8.3f}{mark}"
    )


def _installed() -> list[str]:
    import importlib.util

    models = [name for name in LIMITS if importlib.util.find_spec(f"realtts_{name}") is not None]
    if not models:
        fix = "run: pip install realtts-f5, or realtts-chatterbox"
        raise MissingExtra("no plugin with a flow is installed", who="flow_quality", fix=fix)
    return models


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python benchmarks/flow_quality.py", description="Judge precisions of a flow.")
    parser.add_argument("--model", nargs="+", choices=list(LIMITS), default=_installed())
    parser.add_argument("--size", choices=("tiny", "full"), default="full")
    parser.add_argument("--weights", nargs="+", choices=WEIGHTS, default=list(WEIGHTS))
    parser.add_argument("--precision", nargs="+", default=["bfloat16", "w8a8"], choices=("bfloat16", "w8a8"))
    parser.add_argument("--seconds", type=float, default=6.0, help="of recording and speech (F5), or of speech")
    parser.add_argument("--steps", type=int, help="of the solver; default: the model's")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, help="default: physical cores")
    return parser


if __name__ == "__main__":
    sys.exit(main())
