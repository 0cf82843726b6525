"""What both variants share: the model that the hooks pass around, and the way from tokens to chunks."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from realtts.contract import timing
from realtts.contract.types import Chunk
from realtts_toylm.codec import RATE, Codec

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Block
    from realtts.contract.context import Context
    from realtts.contract.types import FinishReason, Request
    from realtts_toylm.network import Network

__all__ = ["Engine", "Model", "speak"]


class Engine(Protocol):
    """A source of tokens. Each variant has one; everything else is common to them."""

    def decode(self, context: Context, requests: Sequence[Request]) -> Generator[Block, None, None]:
        """Yield tokens of the requests, some at a time, until all have ended."""

    def logits(self, text: str, tokens: Sequence[int]) -> Tensor:
        """Return the logits that each of these tokens was drawn from, given those before it, (n, vocabulary)."""


@dataclass
class Model:
    """The model that `load` returns.

    Attributes:
        network: The weights as they were read; None once they are packed for a faster engine.
        engine: Draws the tokens; None after `unload`.
    """

    network: Network | None
    engine: Engine | None


def speak(context: Context, model: Model, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
    """Yield chunks of requests that are decoded together, each with the index of its request."""
    assert model.engine is not None, "used after unload"
    codecs = [Codec() for _ in requests]
    going = set(range(len(requests)))
    with contextlib.closing(model.engine.decode(context, requests)) as blocks:
        for block in blocks:
            for row in sorted(going):
                if requests[row].cancelled():
                    going.discard(row)
                    continue
                chunk = _chunk(context, codecs[row], block, row)
                if chunk.finish_reason is not None:
                    going.discard(row)
                yield row, chunk
            if not going:
                return


def _chunk(context: Context, codec: Codec, block: Block, row: int) -> Chunk:
    tokens = block.tokens[row]
    reason: FinishReason | None = None
    if block.finished[row]:
        reason = "stop" if block.stopped[row] else "length"
    with timing.timed(context, "codec", steps=len(tokens), dtype="float32"):
        samples = codec.decode(tokens)
    return Chunk(samples, RATE, tokens=len(tokens), finish_reason=reason)
