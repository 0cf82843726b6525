"""The live rung of a worker, as the parent sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from realtts.contract.checks import ChunkChecks
from realtts.isolation.exits import Place
from realtts.ladder.facts import RungFacts
from realtts.ladder.failures import StageError
from realtts.ladder.speaking import run_batches
from realtts.wire.calls import ListVoices

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from realtts.contract.continuous import Arrival, Arrivals, RowItem
    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import VoiceInfo
    from realtts.settings import Settings
    from realtts.wire.calls import Call, Reply, RungState

__all__ = ["RemoteRung", "chunk_checks"]


class Client(Protocol):
    """What a rung needs of the ladder that it belongs to."""

    def call(self, call: Call, activity: str) -> Reply:
        """Send a call to the worker and wait for its reply."""

    def speak(self, rows: Sequence[Arrival]) -> Generator[RowItem, None, None]:
        """Speak rows together in the worker."""

    def speak_joining(self, arrivals: Arrivals) -> Generator[RowItem | None, None, None]:
        """Speak rows in the worker that join while others are spoken."""


class RemoteRung:
    """The rung that is loaded in the worker.

    Args:
        client: The ladder that it belongs to, which talks to the worker.
        settings: The ladder's.
        state: The worker's description of the rung.

    Attributes:
        facts: Variant, device, dtype and settings, for the status.
        timings: Seconds per stage of its load.
    """

    def __init__(self, client: Client, settings: Settings, state: RungState) -> None:
        self.facts = RungFacts(
            variant=state.variant,
            rung=state.rung,
            device=state.device,
            dtype=state.dtype,
            settings=type(settings)(**{**settings.model_dump(exclude_unset=True), **state.changes}),
            changes=state.changes,
        )
        self.timings = state.timings
        self._state = state
        self._client = client
        self._voices: tuple[VoiceInfo, ...] | StageError | None = None

    @property
    def place(self) -> Place | None:
        """Where on the ladder it speaks; None on the last rung that is open, which is never given up."""
        return None if self._state.last else Place(self._state.variant, self._state.rung, "generate")

    @property
    def joins(self) -> bool:
        """Whether rows may join while others are spoken."""
        return self._state.joins

    @property
    def places(self) -> int:
        """Most rows that are spoken at a time."""
        return self._state.places

    def voices(self) -> tuple[VoiceInfo, ...]:
        """Return the built-in voices; the worker is asked once.

        Raises:
            StageError: The hook failed.
        """
        self.ask_voices()
        if isinstance(self._voices, StageError):
            raise self._voices
        return self._voices or ()

    def ask_voices(self) -> None:
        """Ask the worker for the built-in voices, once; `voices` raises what is wrong with the hook."""
        if self._voices is not None:
            return
        try:
            self._voices = self._client.call(ListVoices(load=True), "listing its voices").voices or ()
        except StageError as failure:
            self._voices = failure

    def run(self, arrivals: Arrivals) -> Generator[RowItem | None, None, None]:
        """Yield what comes of the rows that arrive: batch by batch, or as they join.

        Raises:
            StageError: The rung failed. InputError: a request is wrong after all. WorkerDied.
        """
        if self.joins:
            return self._client.speak_joining(arrivals)
        return run_batches(arrivals, self.places, self._client.speak)


def chunk_checks(spec: ProviderSpec) -> ChunkChecks:
    """Return the checks of the chunks that a worker sends: the same as in process."""
    return ChunkChecks(spec.sample_rates, f"provider {spec.name!r} (worker)")
