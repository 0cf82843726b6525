"""What stands in a worker, as the parent sees it: the live rung and the clock of its stages."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from realtts.context import Context, Rung
from realtts.isolation.crashes import Place
from realtts.speech import VoiceInfo
from realtts.stages import StageWork
from realtts.voices import VoiceCache

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from realtts.isolation.remote import RemoteLadder
    from realtts.speech import Chunk, Request

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


class RemoteRung:
    """The rung that stands in the worker.

    Args:
        ladder: Whose rung it is.
        told: What the worker tells of it.

    Attributes:
        context: Variant, device, dtype and settings, for the status.
        timings: Seconds per stage of its load.
    """

    def __init__(self, ladder: RemoteLadder, told: Mapping[str, Any]) -> None:
        self.context = _context(ladder, told)
        self.timings: dict[str, float] = told["timings"]
        self._ladder = ladder
        self._batch: bool = told["batch"]
        self._last: bool = told["last"]
        self._voices: tuple[VoiceInfo, ...] | None = None

    @property
    def place(self) -> Place | None:
        """Where on the ladder it speaks, None on the last rung that is open: that one is never given up."""
        if self._last or self.context.rung is None:
            return None
        return Place(self.context.variant, self.context.rung.name, "generate")

    def supports_batch(self) -> bool:
        """Whether it can decode several requests together."""
        return self._batch

    def voices(self) -> tuple[VoiceInfo, ...]:
        """The built-in voices, asked for once."""
        if self._voices is None:
            told = self._ladder.call("voices", "listing its voices")
            self._voices = tuple(VoiceInfo(**about) for about in told["result"])
        return self._voices

    def speak(self, request: Request) -> Generator[Chunk, None, None]:
        """Chunks of one request.

        Raises:
            StageError: The rung failed. InputError: the request is wrong after all. WorkerDied.
        """
        with contextlib.closing(self._ladder.speak([request], together=False)) as items:
            for _, chunk in items:
                yield chunk

    def speak_batch(self, requests: Sequence[Request]) -> Generator[tuple[int, Chunk], None, None]:
        """Chunks of several requests, each with the index of its request. Raises as `speak`."""
        yield from self._ladder.speak(requests, together=True)


def _context(ladder: RemoteLadder, told: Mapping[str, Any]) -> Context:
    """What the status reads; no hook ever sees it."""
    return Context(
        spec=ladder.spec,
        settings=type(ladder.settings)(**{**ladder.settings.model_dump(), **told["rung_settings"]}),
        variant=told["variant"],
        device=told["device"],
        dtype=told["dtype"],
        rung=Rung(told["rung"], told["rung_settings"]),
        checkpoint=ladder.checkpoint,
        voice_cache=VoiceCache(0),
        log=logging.getLogger(f"realtts.{ladder.spec.name}"),
        report=ladder.report,
    )
