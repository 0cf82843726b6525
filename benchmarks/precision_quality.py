"""What a precision costs in logits: relative error, divergence and agreement of the best token, against float32.

``python benchmarks/precision_quality.py`` prints a table and, as its last line, the record in JSON. Every precision
gets the same tokens (teacher-forced): a prompt, then steps. Two kinds of weights stand for a checkpoint where none is
at hand: normally distributed ones, and heavy-tailed ones whose columns and norms have a few large channels, as those of
trained language models have. Ways to round weights to four bits are compared by rounding alone, in float32.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from realtts.accel.decoder import Decoder, DecoderConfig, Precision, Rope
from realtts.accel.decoder.weights import LayerWeights
from realtts.accel.kernels import native
from realtts.accel.precision import name_of
from realtts.bench.facts import machine_facts, now
from realtts.machine.hardware import physical_cores
from realtts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Generator, Tensor

    Rounding = Callable[[Tensor], Tensor]

__all__ = ["main", "measure", "rounded"]

SHAPES = {
    "t3": (DecoderConfig(30, 1024, 16, 16, 64, 4096, norm_eps=1e-5, rope=Rope(500_000.0)), 8194),
    "qwen3": (DecoderConfig(28, 1024, 16, 8, 128, 3072, qk_norm=True, rope=Rope(1_000_000.0)), 3072),
    "vieneu": (DecoderConfig(24, 896, 14, 2, 64, 4864, qkv_bias=True, rope=Rope(1_000_000.0)), 65_537),
}
"""Decoder and vocabulary of the models at their full size."""

PRECISIONS = ("bf16", "int8", "int4", "native-int8", "native-int4")
WEIGHTS = ("normal", "heavy")
_ROUNDINGS = tuple(
    f"{bits} g{group} {how}"
    for bits, groups in (("int8", (0,)), ("int4", (32, 64, 128)))
    for group in groups
    for how in ("symmetric", "asymmetric", "searched")
)
_PROMPT = 16
_SPREAD = 2.5
"""Standard deviation of the logits, for which the entropy is that of a trained model: some tokens are likely."""


class Quality(NamedTuple):
    """How far logits are from float32's.

    Attributes:
        error: Norm of the difference over that of the logits, each position's mean taken away first.
        divergence: Mean Kullback-Leibler divergence from float32's distribution, in nats.
        worst: The largest of them.
        agreement: Share of the positions where the likeliest token is the same.
    """

    error: float
    divergence: float
    worst: float
    agreement: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parsed = _parser().parse_args(arguments)
    before = torch.get_num_threads()
    torch.set_num_threads(parsed.threads or physical_cores())
    try:
        record = measure(
            {name: _sized(*SHAPES[name], parsed) for name in parsed.shape},
            weights=parsed.weights,
            precisions=parsed.precision,
            roundings=[] if parsed.no_roundings else _ROUNDINGS,
            tokens=parsed.tokens,
        )
    finally:
        torch.set_num_threads(before)
    sys.stdout.write("\n".join([*_table(record), json.dumps(record), ""]))
    return 0


def measure(
    shapes: dict[str, tuple[DecoderConfig, int]],
    *,
    weights: Sequence[str] = WEIGHTS,
    precisions: Sequence[str] = PRECISIONS,
    roundings: Sequence[str] = _ROUNDINGS,
    tokens: int = 256,
) -> dict[str, Any]:
    """Measure precisions and ways to round.

    Args:
        shapes: Decoder and vocabulary by name.
        weights: Kinds of weights, of `WEIGHTS`.
        precisions: Of `PRECISIONS`; what is not available here is noted as such.
        roundings: Ways to round weights alone, such as ``"int4 g32 searched"``.
        tokens: Steps behind the prompt.

    Returns:
        A JSON-able record: machine, and one entry for each shape, kind of weights, and precision or way to round.
    """
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    record: dict[str, Any] = {
        "what": "precision quality",
        "at": now(),
        "machine": machine_facts(Settings(threads=torch.get_num_threads()), versions),
        "tokens": tokens,
        "entries": [],
    }
    for name, (config, vocabulary) in shapes.items():
        for kind in weights:
            task = _Task(config, vocabulary, kind, tokens)
            for precision in precisions:
                record["entries"].append({"shape": name, "weights": kind, **task.precision(precision)})
            for way in roundings:
                record["entries"].append({"shape": name, "weights": kind, **task.rounding(way)})
    return record


class _Task:
    """One decoder with its weights, its tokens and float32's logits; weights are drawn anew for each decoder."""

    def __init__(self, config: DecoderConfig, vocabulary: int, kind: str, tokens: int) -> None:
        self._config, self._kind = config, kind
        generator = torch.Generator().manual_seed(1)
        self._inputs = torch.randn(1, _PROMPT + tokens, config.hidden_size, generator=generator)
        if kind == "heavy":
            self._inputs *= _few_large(config.hidden_size, 0.005, 10.0, generator)
        self._head = _matrix(vocabulary, config.hidden_size, kind, generator)
        logits = self._logits(self._decoder(Precision.of("fp32", torch.device("cpu"))))
        self._head *= _SPREAD / float(logits.std(-1).mean())
        self._exact = logits * (_SPREAD / float(logits.std(-1).mean()))

    def precision(self, name: str) -> dict[str, Any]:
        """Measure a precision as a rung has it."""
        wants_native = name.startswith("native-")
        if wants_native and (reason := native.why_unusable()) is not None:
            return {"precision": name, "lacking": reason}
        precision = Precision.of(name.removeprefix("native-"), torch.device("cpu"))
        decoder = self._decoder(replace(precision, native=wants_native))
        found = {"kernel": decoder.kernel.name, "kv": name_of(decoder.kv_dtype)}
        return {"precision": name, **found, **self._quality(self._logits(decoder))._asdict()}

    def rounding(self, way: str) -> dict[str, Any]:
        """Measure a way to round the weights, the head's too, computed with in float32."""
        decoder = self._decoder(Precision.of("fp32", torch.device("cpu")), lambda weight: rounded(weight, way))
        return {"precision": way, **self._quality(self._logits(decoder, rounded(self._head, way)))._asdict()}

    def _decoder(self, precision: Precision, rounding: Rounding | None = None) -> Decoder:
        gc.collect()
        norm = torch.ones(self._config.hidden_size)
        return Decoder(self._config, _layers(self._config, self._kind, rounding), norm, precision=precision, rows=(1,))

    @torch.inference_mode()
    def _logits(self, decoder: Decoder, head: Tensor | None = None) -> Tensor:
        """Return float32 (tokens, vocabulary)."""
        packed = decoder.pack(self._head if head is None else head)
        cache = decoder.new_cache(1, self._inputs.shape[1])
        decoder.prefill(self._inputs[:, :_PROMPT], cache)
        steps = self._inputs[0, _PROMPT:].split(1)  # each (1, hidden)
        return torch.cat([packed(decoder.step(x, cache)).float() for x in steps])

    def _quality(self, logits: Tensor) -> Quality:
        exact, ours = (each - each.mean(-1, keepdim=True) for each in (self._exact, logits))
        p, q = exact.log_softmax(-1), ours.log_softmax(-1)
        divergence = (p.exp() * (p - q)).sum(-1)
        return Quality(
            error=float((ours - exact).norm() / exact.norm()),
            divergence=float(divergence.mean()),
            worst=float(divergence.max()),
            agreement=float((exact.argmax(-1) == ours.argmax(-1)).float().mean()),
        )


# -- weights -----------------------------------------------------------------------------------------------------------


def _layers(config: DecoderConfig, kind: str, rounding: Rounding | None) -> Iterator[LayerWeights]:
    """Draw the layers one by one, the same at each call."""
    for index in range(config.layers):
        generator = torch.Generator().manual_seed(100 + index)
        width, queries = config.hidden_size, config.heads * config.head_dim
        keys = config.kv_heads * config.head_dim

        def matrix(outputs: int, inputs: int, generator: Generator = generator) -> Tensor:
            weight = _matrix(outputs, inputs, kind, generator)
            return weight if rounding is None else rounding(weight)

        def norm(size: int, generator: Generator = generator) -> Tensor:
            return torch.ones(size) if kind == "normal" else _few_large(size, 0.01, 4.0, generator)

        bias = 0.5 * torch.randn(queries + 2 * keys, generator=generator) if config.qkv_bias else None
        # Outputs of attention and MLP are made smaller with the depth, as models begin their training.
        depth = (2 * config.layers) ** -0.5
        yield LayerWeights(
            input_norm=norm(width),
            qkv=matrix(queries + 2 * keys, width),
            qkv_bias=bias,
            q_norm=norm(config.head_dim) if config.qk_norm else None,
            k_norm=norm(config.head_dim) if config.qk_norm else None,
            out=matrix(width, queries) * depth * 2,
            mlp_norm=norm(width),
            gate_up=matrix(2 * config.mlp_size, width),
            down=matrix(width, config.mlp_size) * depth * 4,
        )


def _matrix(outputs: int, inputs: int, kind: str, generator: Generator) -> Tensor:
    """Draw a weight whose outputs have the scale of its inputs."""
    weight = torch.randn(outputs, inputs, generator=generator)
    if kind == "heavy":
        # Student's t with four degrees of freedom: a normal value over the root of a mean of four squares.
        squares = torch.zeros(outputs, inputs)
        for _ in range(4):
            squares += torch.randn(outputs, inputs, generator=generator).square_()
        weight /= (squares / 4).sqrt_()
        weight *= _few_large(inputs, 0.005, 6.0, generator) * _few_large(outputs, 0.0, 1.0, generator)[:, None]
        weight /= weight.std()
    return weight.mul_(inputs**-0.5)


def _few_large(size: int, share: float, factor: float, generator: Generator) -> Tensor:
    """Draw scales of channels: about one, some percent apart, and a share of them so many times as large."""
    scales = (0.3 * torch.randn(size, generator=generator)).exp_()
    large = torch.randperm(size, generator=generator)[: round(share * size) or int(share > 0)]
    scales[large] *= factor
    return scales


def rounded(weight: Tensor, way: str) -> Tensor:
    """Round a weight and return what it stands for then, float32.

    Args:
        weight: (out, in).
        way: ``"BITS gGROUP HOW"``, such as ``"int4 g32 searched"``: int8 or int4; inputs that share a scale, 0 for all;
            ``symmetric`` (scale by the largest value), ``asymmetric`` (by both ends) or ``searched`` (symmetric, the
            scale among sixteen with which the sum of squared differences is least).
    """
    bits, group, how = way.split()
    most = 127 if bits == "int8" else 7
    size = int(group[1:]) or weight.shape[1]
    blocks = weight.unflatten(1, (-1, size))  # (out, in) -> (out, groups, group)
    if how == "asymmetric":
        low, high = blocks.aminmax(dim=-1, keepdim=True)
        scale = ((high - low) / (2 * most + 1)).clamp_(min=1e-12)
        asymmetric: Tensor = ((blocks - low) / scale).round_() * scale + low
        return asymmetric.flatten(1)
    largest = blocks.abs().amax(-1, keepdim=True).clamp_(min=1e-12) / most
    if how == "symmetric":
        return _symmetric(blocks, largest, most).flatten(1)
    best, least = _symmetric(blocks, largest, most), torch.full_like(largest, torch.inf)
    for step in range(16):
        tried = _symmetric(blocks, largest * (1 - step / 32), most)
        error = (tried - blocks).square().sum(-1, keepdim=True)
        best = torch.where(error < least, tried, best)
        least = torch.minimum(error, least)
    return best.flatten(1)


def _symmetric(blocks: Tensor, scale: Tensor, most: int) -> Tensor:
    return (blocks / scale).round_().clamp_(-most - 1, most) * scale


# -- command line ------------------------------------------------------------------------------------------------------


def _table(record: dict[str, Any]) -> list[str]:
    titles = f"{'shape':<8}  {'weights':<8}  {'precision':<20}  {'kernel':<18}  error    KL       worst    same best"
    return [titles, *map(_line, record["entries"])]


def _line(entry: dict[str, Any]) -> str:
    begin = f"{entry['shape']:<8}  {entry['weights']:<8}  {entry['precision']:<20}"
    if "lacking" in entry:
        return f"{begin}  {entry['lacking']}"
    return (
        f"{begin}  {entry.get('kernel', 'float32'):<18}  {entry['error']:.1e}  {entry['divergence']:.1e}"
        f"  {entry['worst']:.1e}  {entry['agreement']:>8.1%}"
    )


def _sized(config: DecoderConfig, vocabulary: int, parsed: argparse.Namespace) -> tuple[DecoderConfig, int]:
    """Make a shape smaller, if that is asked for."""
    head_dim = parsed.hidden // config.heads if parsed.hidden else config.head_dim
    smaller = replace(
        config,
        layers=parsed.layers or config.layers,
        hidden_size=parsed.hidden or config.hidden_size,
        head_dim=max(16, head_dim // 16 * 16),
        mlp_size=parsed.mlp or config.mlp_size,
    )
    return smaller, parsed.vocabulary or vocabulary


def _size(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("give a positive number")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python benchmarks/precision_quality.py", description="What precisions cost.")
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--weights", nargs="+", choices=WEIGHTS, default=list(WEIGHTS))
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--no-roundings", action="store_true", help="leave out the ways to round")
    parser.add_argument("--tokens", type=_size, default=256, help="steps behind the prompt (default: 256)")
    parser.add_argument("--threads", type=_size, help="default: physical cores")
    for name in ("layers", "hidden", "mlp", "vocabulary"):
        parser.add_argument(f"--{name}", type=_size, help="instead of the model's own, for a try")
    return parser


if __name__ == "__main__":
    sys.exit(main())
