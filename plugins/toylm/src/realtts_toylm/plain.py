"""The plain variant: the reference. One request, float32, a cache that grows, `torch.multinomial`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from realtts import checkpoints
from realtts.accel.decoder import RowBlock
from realtts.contract import timing
from realtts.contract.hooks import hookimpl
from realtts_toylm.codec import Codec
from realtts_toylm.frontend import START, STOP, prepare
from realtts_toylm.loading import FILES, read_network
from realtts_toylm.model import TOKENS_PER_CHUNK, Model, chunk_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk, Request
    from realtts_toylm.frontend import Ask
    from realtts_toylm.network import Network

    Past = list[tuple[Tensor, Tensor]]

__all__ = ["EagerEngine", "Plain", "probabilities"]


class Plain:
    """The hooks."""

    @hookimpl
    def load(self, context: Context) -> Model:
        """Read the checkpoint."""
        network = read_network(checkpoints.fetch(context.checkpoint, FILES, report=context.report), context.device)
        return Model(network, EagerEngine(network))

    @hookimpl
    def generate(self, context: Context, model: Model, request: Request) -> Iterator[Chunk]:
        """Yield a chunk for every few tokens, with whichever engine the model has."""
        assert model.engine is not None, "used after unload"
        codec = Codec()
        for block in model.engine.decode(context, request):
            if request.cancelled():
                return
            yield chunk_of(context, codec, block.tokens, block.end)

    @hookimpl
    def unload(self, context: Context, model: Model) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.network = model.engine = None


class EagerEngine:
    """The tokens of one request, drawn one after the other.

    Args:
        network: The model.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        read = [*network.model.layers.parameters(), *network.lm_head.parameters()]
        self._weights = sum(weight.numel() for weight in read)

    def decode(self, context: Context, request: Request) -> Iterator[RowBlock]:
        """Yield tokens of a request."""
        ask = prepare(context, request)
        noise = torch.Generator(self._network.device).manual_seed(ask.seed)
        past: Past = []
        with timing.timed(context, "prefill", steps=1) as work:
            logits = self._step(self._network.prompt(ask.ids, START), past)
            work.add(bytes=4 * self._weights, flops=2 * self._weights * (len(ask.ids) + 1))
        drawn: list[int] = []
        handed = 0
        with timing.timed(context, "decode") as work:
            while not request.cancelled():
                token = self._draw(logits, len(drawn), ask, noise)
                drawn += [] if token == STOP else [token]
                ended = token == STOP or len(drawn) == ask.most
                if ended or len(drawn) - handed == TOKENS_PER_CHUNK:
                    end: Literal["stop", "length"] | None = ("stop" if token == STOP else "length") if ended else None
                    yield RowBlock(0, tuple(drawn[handed:]), end)
                    handed = len(drawn)
                if ended:
                    return
                logits = self._step(self._network.embedded([token]), past)
                cached = sum(keys.nbytes + values.nbytes for keys, values in past)
                work.add(steps=1, bytes=4 * self._weights + cached, flops=2 * self._weights)

    @torch.inference_mode()
    def logits(self, text: str, tokens: Sequence[int]) -> Tensor:
        """Return the logits that each of these tokens was drawn from, (n, vocabulary)."""
        x = torch.cat([self._network.prompt(list(text.encode()), START), self._network.embedded(tokens[:-1])])
        logits: Tensor = self._network(x, [])[-len(tokens) :]
        return logits

    # Not around the loop: torch's mode must not leak to whoever reads the generator.
    @torch.inference_mode()
    def _step(self, x: Tensor, past: Past) -> Tensor:
        """Return logits after the last of these embeddings, (vocabulary,)."""
        logits: Tensor = self._network(x, past)[-1]
        return logits

    @torch.inference_mode()
    def _draw(self, logits: Tensor, step: int, ask: Ask, noise: torch.Generator) -> int:
        return int(torch.multinomial(probabilities(logits, step, ask), 1, generator=noise))


def probabilities(logits: Tensor, step: int, ask: Ask) -> Tensor:
    """Return the probabilities that a token is drawn from: float32 of shape (vocabulary,).

    Args:
        logits: (vocabulary,).
        step: Tokens drawn before.
        ask: Temperature, top-k, and how many tokens come before the end may.
    """
    never = [START, STOP] if step < ask.params.min_new_tokens else [START]
    scores = logits.float().clone()
    scores[never] = float("-inf")
    scores = scores / ask.params.temperature
    if ask.params.top_k:
        scores = scores.masked_fill(scores < scores.topk(ask.params.top_k).values[-1], float("-inf"))
    return scores.softmax(-1)
