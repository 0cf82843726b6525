"""What speaking needs of a ladder and of its rung, whichever process they stand in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from realtts.context import Context
    from realtts.events import Event
    from realtts.rung import StageError
    from realtts.settings import Settings
    from realtts.spec import Checkpoint, ProviderSpec
    from realtts.speech import Chunk, Request, VoiceInfo
    from realtts.stages import StageWork
    from realtts.status import Attempt, State

__all__ = ["AnyLadder", "AnyRung", "AnyStages"]


class AnyRung(Protocol):
    """A rung that stands; see `realtts.rung.LiveRung`."""

    @property
    def context(self) -> Context:
        """What its hooks are told."""

    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds per stage of its load."""

    def supports_batch(self) -> bool:
        """Whether it can decode several requests together."""

    def voices(self) -> tuple[VoiceInfo, ...]:
        """The built-in voices."""

    def speak(self, request: Request) -> Generator[Chunk, None, None]:
        """Chunks of one request."""

    def speak_batch(self, requests: Sequence[Request]) -> Generator[tuple[int, Chunk], None, None]:
        """Chunks of several requests, each with the index of its request."""


class AnyStages(Protocol):
    """The inner stages of one request; see `realtts.stages.StageLog`."""

    def reset(self) -> None:
        """Forget everything: a new request begins."""

    def totals(self) -> dict[str, StageWork]:
        """What the closed stages of this request did, by name."""


class AnyLadder(Protocol):
    """A ladder: `realtts.lifecycle.Ladder` in this process, `realtts.isolation.remote.RemoteLadder` in a worker."""

    spec: ProviderSpec
    settings: Settings
    checkpoint: Checkpoint | None
    state: State
    attempts: tuple[Attempt, ...]
    details: dict[str, Any]

    @property
    def stages(self) -> AnyStages:
        """The inner stages of the request that is being spoken."""

    @property
    def live(self) -> AnyRung | None:
        """The rung that stands."""

    def begin(self) -> AnyRung:
        """The live rung for a new request."""

    def ensure_loaded(self) -> AnyRung:
        """The live rung; when there is none, the fastest one that works is loaded."""

    def give_up(self, failure: StageError) -> None:
        """Record a failure of the live rung, free it and forbid it."""

    def unload(self, *, forget: bool = True) -> None:
        """Free the model and all memory that it held."""

    def report(self, event: Event) -> None:
        """Hand an event on; never raises."""

    def facts(self) -> dict[str, Any]:
        """What the status tells of the place where the model is: versions, memory, cache, isolation, worker."""
