"""What the endpoints of one server share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from realtts.errors import RealTTSError

if TYPE_CHECKING:
    from realtts.serving.gate import Gate
    from realtts_http.config import ServeConfig
    from realtts_http.metrics import ServerMetrics
    from realtts_http.served import ServedModels

__all__ = ["Server", "ServerState"]

_log = logging.getLogger("realtts.http")


@dataclass
class ServerState:
    """The models of a server and what stands around them.

    Attributes:
        config: How it runs.
        models: Who speaks.
        metrics: What is counted.
        gate: Whether requests are taken.
        fault: Why the models could not be loaded before the first request; None: they were, or are not to be.
    """

    config: ServeConfig
    models: ServedModels
    metrics: ServerMetrics
    gate: Gate
    fault: str | None = None
    _preloading: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def is_ready(self) -> bool:
        """Whether requests are answered without waiting for the first load."""
        loading = self._preloading is not None and not self._preloading.done()
        return not (loading or self.fault or self.gate.draining)

    def begin(self) -> None:
        """Load the models in the background, where the configuration says so."""
        if self.config.preload:
            self._preloading = asyncio.get_running_loop().create_task(self._preload())

    async def end(self) -> None:
        """Stop loading, and free the models; may be called again."""
        if self._preloading is not None:
            self._preloading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._preloading
        await asyncio.to_thread(self.models.close)

    async def _preload(self) -> None:
        try:
            await self.models.preload()
        except RealTTSError as error:
            self.fault = type(error).__name__
            _log.exception("a model could not be loaded")


async def _state(request: Request) -> ServerState:  # FastAPI runs others in a thread
    state: ServerState = request.app.state.server
    return state


Server = Annotated[ServerState, Depends(_state)]
"""The state of the server, as a parameter of an endpoint."""
