"""The live rung of a worker and the timing of its stages, as the parent sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from realtts.contract.checks import ChunkChecks
from realtts.isolation.exits import Place
from realtts.ladder.facts import RungFacts
from realtts.wire.calls import ListVoices

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.stages import StageWork
    from realtts.contract.types import Chunk, Request, VoiceInfo
    from realtts.settings import Settings
    from realtts.wire.calls import Call, Reply, RungState

__all__ = ["RemoteRung", "RemoteStages", "chunk_checks"]


class RemoteStages:
    """The inner stages of the request that is being spoken, as the worker timed them."""

    def __init__(self) -> None:
        self._totals: dict[str, StageWork] = {}

    def reset(self) -> None:
        """Forget everything: a new request begins."""
        self._totals = {}

    def update(self, work: Mapping[str, StageWork]) -> None:
        """Take over the worker's figures."""
        self._totals = dict(work)

    def totals(self) -> dict[str, StageWork]:
        """Return what the stages of this request did, by name."""
        return dict(self._totals)


class Client(Protocol):
    """What a rung needs of the ladder that it belongs to."""

    def call(self, call: Call, activity: str) -> Reply:
        """Send a call to the worker and wait for its reply."""

    def speak(self, requests: Sequence[Request]) -> Generator[tuple[int, Chunk], None, None]:
        """Speak requests in the worker."""


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
            settings=type(settings)(**{**settings.model_dump(), **state.changes}),
            changes=state.changes,
        )
        self.timings = state.timings
        self._state = state
        self._client = client
        self._voices: tuple[VoiceInfo, ...] | None = None

    @property
    def place(self) -> Place | None:
        """Where on the ladder it speaks; None on the last rung that is open, which is never given up."""
        return None if self._state.last else Place(self._state.variant, self._state.rung, "generate")

    def supports_batch(self) -> bool:
        """Tell whether it can decode several requests together."""
        return self._state.batch

    def voices(self) -> tuple[VoiceInfo, ...]:
        """Return the built-in voices; the worker is asked once."""
        if self._voices is None:
            self._voices = self._client.call(ListVoices(load=True), "listing its voices").voices or ()
        return self._voices

    def speak(self, requests: Sequence[Request]) -> Generator[tuple[int, Chunk], None, None]:
        """Return an iterator over chunks, each with the index of its request.

        Raises:
            StageError: The rung failed. InputError: a request is wrong after all. WorkerDied.
        """
        return self._client.speak(requests)


def chunk_checks(spec: ProviderSpec, requests: Sequence[Request]) -> ChunkChecks:
    """Return the checks of the chunks that a worker sends for requests: the same as in process."""
    return ChunkChecks(spec.sample_rates, f"provider {spec.name!r} (worker)", [len(each.text) for each in requests])
