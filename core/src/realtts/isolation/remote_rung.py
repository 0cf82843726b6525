"""What stands in a worker, as the parent sees it: the live rung and the clock of its stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from realtts.contract.stages import StageWork
from realtts.contract.types import VoiceInfo
from realtts.isolation.exits import Place
from realtts.ladder.facts import RungFacts

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from realtts.contract.types import Chunk, Request
    from realtts.settings import Settings

__all__ = ["RemoteRung", "RemoteStages"]


class RemoteStages:
    """The inner stages of the request that is being spoken, as the worker timed them."""

    def __init__(self) -> None:
        self._totals: dict[str, StageWork] = {}

    def reset(self) -> None:
        """Forget everything: a new request begins."""
        self._totals = {}

    def told(self, work: Mapping[str, Any]) -> None:
        """Take over the worker's figures."""
        self._totals = {name: StageWork(**about) for name, about in work.items()}

    def totals(self) -> dict[str, StageWork]:
        """What the stages of this request did, by name."""
        return dict(self._totals)


class Calls(Protocol):
    """What a rung asks of the ladder that it belongs to."""

    def call(self, call: str, doing: str, **content: Any) -> dict[str, Any]:
        """Ask the worker for something."""

    def speak(self, requests: Sequence[Request]) -> Generator[tuple[int, Chunk], None, None]:
        """Speak requests in the worker."""


class RemoteRung:
    """The rung that stands in the worker.

    Args:
        calls: The ladder that it belongs to, which talks to the worker.
        settings: The ladder's.
        live: The worker's description of the rung, from `realtts.worker.ladder.WorkerLadder.snapshot`.

    Attributes:
        facts: Variant, device, dtype and settings, for the status.
        timings: Seconds per stage of its load.
    """

    def __init__(self, calls: Calls, settings: Settings, live: Mapping[str, Any]) -> None:
        changes = live["rung_settings"]
        self.facts = RungFacts(
            variant=live["variant"],
            rung=live["rung"],
            device=live["device"],
            dtype=live["dtype"],
            settings=type(settings)(**{**settings.model_dump(), **changes}),
            changes=changes,
        )
        self.timings: dict[str, float] = live["timings"]
        self._calls = calls
        self._batch: bool = live["batch"]
        self._last: bool = live["last"]
        self._voices: tuple[VoiceInfo, ...] | None = None

    @property
    def place(self) -> Place | None:
        """Where on the ladder it speaks, None on the last rung that is open: that one is never given up."""
        return None if self._last else Place(self.facts.variant, self.facts.rung, "generate")

    def supports_batch(self) -> bool:
        """Whether it can decode several requests together."""
        return self._batch

    def voices(self) -> tuple[VoiceInfo, ...]:
        """The built-in voices, asked for once."""
        if self._voices is None:
            reply = self._calls.call("voices", "listing its voices")
            self._voices = tuple(VoiceInfo(**info) for info in reply["result"])
        return self._voices

    def speak(self, requests: Sequence[Request]) -> Generator[tuple[int, Chunk], None, None]:
        """Return an iterator over chunks, each with the index of its request.

        Raises:
            StageError: The rung failed. InputError: a request is wrong after all. WorkerDied.
        """
        return self._calls.speak(requests)
