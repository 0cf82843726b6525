"""What the connections of one server share."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from realtts.serving.gate import Gate
from realtts_wyoming.events import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.serving.models import ServedModels
    from realtts_wyoming.config import WyomingConfig
    from realtts_wyoming.voices import VoiceList

__all__ = ["ServerState"]

_Result = TypeVar("_Result")


@dataclass
class ServerState:
    """The models of a server and what stands around them.

    Attributes:
        config: How it runs.
        models: Who speaks.
        voices: What clients may choose from.
        gate: Whether texts are taken, and how many are spoken or wait.
    """

    config: WyomingConfig
    models: ServedModels
    voices: VoiceList
    gate: Gate = field(default_factory=Gate)
    # Of its own, so that a list of voices never waits for a load: Home Assistant gives it a second.
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "realtts-voices"), repr=False)

    async def in_thread(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        """Call a function that reads voices, beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def enter(self) -> None:
        """Count a text that is to be spoken; ``gate.leave`` ends it.

        Raises:
            Refusal: The server is ending, or there are too many.
        """
        if self.gate.draining:
            raise Refusal("shutting_down", "The server is being shut down. Fix: try again in a moment.")
        if self.gate.running >= self.config.max_requests:
            message = f"{self.gate.running} texts are spoken or wait, which is the most. Fix: try again later."
            raise Refusal("busy", message)
        self.gate.enter()

    async def close(self) -> None:
        """Free the models."""
        await asyncio.to_thread(self.models.close)
        self._thread.shutdown(wait=False)
