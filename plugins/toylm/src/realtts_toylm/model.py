"""What both variants share: the model that the hooks pass around, and the way from tokens to chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from realtts.contract import timing
from realtts.contract.types import Chunk
from realtts_toylm.codec import RATE, Codec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from realtts.accel.decoder import RowBlock
    from realtts.contract.context import Context
    from realtts.contract.types import FinishReason, Request
    from realtts_toylm.network import Network

__all__ = ["TOKENS_PER_CHUNK", "Engine", "Model", "chunk_of"]

TOKENS_PER_CHUNK = 8


class Engine(Protocol):
    """A source of tokens. Each variant has one; everything else is common to them."""

    def decode(self, context: Context, request: Request) -> Iterator[RowBlock]:
        """Yield tokens of one request, some at a time, until it has ended."""

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


def chunk_of(
    context: Context, codec: Codec, tokens: Sequence[int], end: str | None, *, row: int | None = None
) -> Chunk:
    """Return the next chunk of a request.

    Args:
        context: Of the hook.
        codec: The request's.
        tokens: Those that are new.
        end: How the request ended; None: it goes on.
        row: Its number in a running batch.
    """
    reasons: dict[str | None, FinishReason] = {"stop": "stop", "length": "length"}
    with timing.timed(context, "codec", steps=len(tokens), dtype="float32", rows=None if row is None else [row]):
        samples = codec.decode(tokens)
    return Chunk(samples, RATE, tokens=len(tokens), finish_reason=reasons.get(end))
