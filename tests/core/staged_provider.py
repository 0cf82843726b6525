"""A provider in numpy with everything that `realtts bench` and `realtts verify` look at.

A random recurrent network draws one token after the other, each of which becomes a short tone. It has a checkpoint,
inner stages, forced token counts, a lower precision, and the functions of a plugin's testing module.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from realtts.contract import timing
from realtts.contract.context import Rung
from realtts.contract.hooks import hookimpl
from realtts.contract.spec import ProviderSpec
from realtts.contract.types import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Request

    Floats = NDArray[np.float32]

__all__ = [
    "TOKENS_PER_CHAR",
    "TOLERANCES",
    "StagedFastProvider",
    "StagedProvider",
    "scores",
    "staged_spec",
    "teacher_forced",
    "tokens",
    "write_random_checkpoint",
]

RATE = 16_000
SAMPLES_PER_TOKEN = 640
VOCABULARY = 64
END = 0
MOST_TOKENS = 400
TOKENS_PER_CHAR = 0.5
TOLERANCES = {"float32": 1e-5, "float16": 5e-3, "streaming": 0.0, "audio": 0.0}
_FILE = "weights.npz"
_WIDTHS = {"tiny": 32, "full": 512}


class Weights(NamedTuple):
    """The weights: a row of ``embedding`` per token, a recurrence and a head, each of shape (rows, columns)."""

    embedding: NDArray[Any]
    recurrence: NDArray[Any]
    head: NDArray[Any]

    @property
    def nbytes(self) -> int:
        """Bytes that one step reads: recurrence, head, and one row of the embedding."""
        return int(self.recurrence.nbytes + self.head.nbytes + self.embedding[0].nbytes)

    @property
    def flops(self) -> int:
        """Operations of one step."""
        return int(2 * (self.recurrence.size + self.head.size))


class Model:
    """The model that `load` returns; the optimized variant replaces the weights."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights


class StagedProvider:
    """The plain variant: float32."""

    @hookimpl
    def load(self, context: Context) -> Model:
        """Read the checkpoint; without one, make small random weights."""
        path = context.checkpoint.path if context.checkpoint is not None else None
        if path is None:
            return Model(_random(_WIDTHS["tiny"], seed=0))
        with np.load(Path(path) / _FILE) as arrays:
            return Model(Weights(*(arrays[name] for name in Weights._fields)))

    @hookimpl
    def generate(self, context: Context, model: Model, request: Request) -> Iterator[Chunk]:
        """Yield one chunk per eight tokens."""
        pending: list[int] = []
        with timing.timed(context, "decode") as work:
            for token, _ in _decode(context, model, request):
                if request.cancelled():
                    return
                work.add(steps=1, bytes=model.weights.nbytes, flops=model.weights.flops)
                pending.append(token)
                if len(pending) == 8:
                    yield _sound(context, pending)
                    pending = []
        if pending:
            yield _sound(context, pending)


class StagedFastProvider:
    """The optimized variant: weights in half precision where that is asked for."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """Propose half precision only where it is asked for by name: numpy gains nothing by it."""
        dtype = "float16" if context.settings.dtype == "float16" else "float32"
        return [Rung(dtype, {"dtype": dtype})]

    @hookimpl
    def convert_precision(self, context: Context, model: Model) -> None:
        """Cast the weights."""
        model.weights = Weights(*(array.astype(context.dtype) for array in model.weights))


def staged_spec(**changes: Any) -> ProviderSpec:
    """Return the provider's spec, with any field changed."""
    fields: dict[str, Any] = {
        "name": "staged",
        "summary": "A tiny random network in numpy, for tests of bench and verify",
        "sample_rates": (RATE,),
        "plain": "staged_provider:StagedProvider",
        "optimized": "staged_provider:StagedFastProvider",
        "capabilities": frozenset({"streaming"}),
        "licence": "Apache-2.0",
    }
    return ProviderSpec(**{**fields, **changes})


def write_random_checkpoint(path: Path, size: str = "tiny", seed: int = 0) -> None:
    """Write random weights.

    Args:
        path: Existing folder.
        size: ``"tiny"`` or ``"full"``.
        seed: Of the weights.
    """
    np.savez(path / _FILE, **_random(_WIDTHS[size], seed)._asdict())


def tokens(context: Context, model: Model, request: Request) -> NDArray[np.int64]:
    """Return the tokens of a request, shape (n,)."""
    return np.array([token for token, _ in _decode(context, model, request)], np.int64)


def teacher_forced(context: Context, model: Model, request: Request, tokens: NDArray[np.int64]) -> Floats:
    """Return logits with the given tokens as the past, shape (n, vocabulary)."""
    state = _prompt(model.weights, request.text)
    rows = []
    for token in tokens:
        state, logits = _step(model.weights, state)
        rows.append(logits)
        state = state + model.weights.embedding[int(token)]
    return np.stack(rows).astype(np.float32)


def scores(
    context: Context, model: Model, request: Request, tokens: NDArray[np.int64], step: int
) -> NDArray[np.float64]:
    """Return probability over noise of every candidate of one decision."""
    logits = teacher_forced(context, model, request, tokens[: step + 1])[-1]
    return _race(logits, _noise(request.seed, step + 1)[-1])


def _decode(context: Context, model: Model, request: Request) -> Iterator[tuple[int, Floats]]:
    """Yield tokens with the logits that they were drawn from."""
    forced = context.forced_tokens(request.text)
    most = MOST_TOKENS if forced is None else forced
    state = _prompt(model.weights, request.text)
    noise = np.random.default_rng(request.seed)
    for _ in range(most):
        state, logits = _step(model.weights, state)
        race = _race(logits, noise.exponential(size=VOCABULARY))
        token = int(np.argmax(race))
        if token == END and forced is None:
            return
        yield token, logits
        state = state + model.weights.embedding[token]


def _race(logits: Floats, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probability over noise: the largest is a draw from the distribution."""
    odds = np.exp(logits.astype(np.float64) - logits.max())
    race: NDArray[np.float64] = odds / odds.sum() / noise
    return race


def _noise(seed: int, steps: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).exponential(size=(steps, VOCABULARY))


def _prompt(weights: Weights, text: str) -> NDArray[Any]:
    """Return the state before the first token, shape (width,)."""
    rows = weights.embedding[[ord(char) % VOCABULARY for char in text]]
    state: NDArray[Any] = rows.mean(axis=0, dtype=np.float32).astype(weights.embedding.dtype)
    return state


def _step(weights: Weights, state: NDArray[Any]) -> tuple[NDArray[Any], Floats]:
    """Return the next state, shape (width,), and logits, shape (vocabulary,)."""
    state = np.tanh(weights.recurrence @ state)
    return state, (weights.head @ state).astype(np.float32)


def _sound(context: Context, tokens: Sequence[int]) -> Chunk:
    """Return a tone per token; each begins at its own phase, so any cut sounds the same."""
    with timing.timed(context, "vocoder", steps=len(tokens)):
        time = np.arange(SAMPLES_PER_TOKEN) / RATE
        waves = [0.3 * np.sin(2 * np.pi * (120 + 10 * token) * time) for token in tokens]
    return Chunk(np.concatenate(waves).astype(np.float32), RATE, tokens=len(tokens))


def _random(width: int, seed: int) -> Weights:
    draw = np.random.default_rng(seed)
    shapes = {"embedding": (VOCABULARY, width), "recurrence": (width, width), "head": (VOCABULARY, width)}
    arrays = {name: draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["recurrence"] *= np.float32(1.2 / np.sqrt(width))
    arrays["head"] *= np.float32(2.0 / np.sqrt(width))
    return Weights(**arrays)
