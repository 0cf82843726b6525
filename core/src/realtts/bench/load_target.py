"""What a load is put on: a provider of ours, or anything else that speaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from realtts.bench.load_source import Order
    from realtts.contract.stages import StageWork
    from realtts.provider.facade import RealProvider

__all__ = ["Account", "Heard", "ProviderTarget", "Target"]


class Heard(Protocol):
    """A stretch of audio, such as a `Chunk`."""

    @property
    def duration(self) -> float:
        """Seconds."""


@dataclass(frozen=True)
class Account:
    """What a target tells of a request at its end, as far as it knows.

    Attributes:
        queue_s: Seconds in which it waited for its turn.
        tokens: Tokens decoded.
        work: What the inner stages did for it.
    """

    queue_s: float | None = None
    tokens: int = 0
    work: Mapping[str, StageWork] = field(default_factory=dict)


class Target(Protocol):
    """What a load is put on. Its methods are called from many threads."""

    def speak(self, order: Order) -> Generator[Heard, None, Account]:
        """Yield the audio of a request as it comes, and return what is known of it.

        Raises:
            Exception: The request has failed, which is counted by the exception's name.
        """


class ProviderTarget:
    """A provider of ours.

    Args:
        tts: The provider.
        options: Its own options, for every request.
    """

    def __init__(self, tts: RealProvider, options: Mapping[str, Any]) -> None:
        self._tts = tts
        self._options = options

    def speak(self, order: Order) -> Generator[Heard, None, Account]:
        """Yield the chunks of a stream. Raises as `RealProvider.stream`."""
        with self._tts.stream(
            order.text, voice=order.voice, language=order.language, seed=order.seed, **self._options
        ) as stream:
            yield from stream
            metrics = stream.metrics
        return Account(metrics.queue_s, metrics.tokens, metrics.work)
