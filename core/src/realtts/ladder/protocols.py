"""What speaking needs of a ladder and of its rung, whichever process they stand in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from realtts.registry.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from realtts.attempt import Attempt, State
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.contract.stages import StageLog
    from realtts.contract.types import VoiceInfo
    from realtts.ladder.facts import RungFacts
    from realtts.ladder.failures import StageError
    from realtts.settings import Layers, Settings

__all__ = ["AnyLadder", "AnyRung", "LadderPlace"]


class AnyRung(Protocol):
    """A loaded rung; see `realtts.ladder.rung.LiveRung`."""

    @property
    def facts(self) -> RungFacts:
        """What it is: variant, name, device, dtype and settings."""

    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds per stage of its load."""

    @property
    def joins(self) -> bool:
        """Whether rows may join while others are spoken."""

    @property
    def places(self) -> int:
        """Most rows that are spoken at a time."""

    def voices(self) -> tuple[VoiceInfo, ...]:
        """Return the built-in voices."""

    def run(self, arrivals: Arrivals) -> Generator[RowItem | None, None, None]:
        """Yield what comes of the rows that arrive; ends when no row is left and none arrives."""


class AnyLadder(Protocol):
    """A ladder: `realtts.ladder.ladder.Ladder` in this process, or one that stands for a ladder in a worker process."""

    spec: ProviderSpec
    settings: Settings
    checkpoint: Checkpoint | None
    state: State
    attempts: tuple[Attempt, ...]
    details: dict[str, Any]

    @property
    def stages(self) -> StageLog:
        """The inner stages of the requests that are being spoken."""

    @property
    def live(self) -> AnyRung | None:
        """The loaded rung, None while nothing is loaded."""

    def begin(self) -> AnyRung:
        """Return the live rung for a new request."""

    def ensure_loaded(self) -> AnyRung:
        """Return the live rung; when there is none, load the fastest one that works."""

    def voices_before_load(self) -> tuple[VoiceInfo, ...] | None:
        """Return the built-in voices as far as the plugin can name them without the model; None: only it can."""

    def give_up(self, failure: StageError) -> None:
        """Record a failure of the live rung, free it and forbid it."""

    def abort_load(self) -> None:
        """Let a load end as soon as it can, and begin none any more: the provider closes. From any thread."""

    def unload(self, *, forget: bool = True) -> None:
        """Free the model and all memory that it held."""

    def abort(self) -> None:
        """End what the model is doing, where that is possible, because the provider was closed; from any thread."""

    def report(self, event: Event) -> None:
        """Hand an event on; never raises."""

    def facts(self) -> dict[str, Any]:
        """Return the status of the process that holds the model: versions, memory, cache, isolation, worker."""


class LadderPlace(Place, Protocol):
    """A place beside this process that makes ladders; registered as an entry point of the group ``realtts.places``."""

    def ladder(
        self, spec: ProviderSpec, layers: Layers, checkpoint: Checkpoint | None, report: Callable[[Event], None]
    ) -> AnyLadder:
        """Make the ladder of one of its providers; nothing heavy happens before its first use.

        Args:
            spec: From `spec`.
            layers: Settings and where they came from.
            checkpoint: What to load.
            report: Receives every event.

        Raises:
            RealTTSError: The provider is not there any more.
        """
