"""The process of the server: one loop, its sockets, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import uvicorn

from realtts.machine.memory import share_heap, trim
from realtts_http.app import create_app
from realtts_http.listening import open_sockets

if TYPE_CHECKING:
    from types import FrameType

    from realtts_http.config import ServeConfig
    from realtts_http.server_state import ServerState

__all__ = ["DrainingServer", "serve"]

_SLOWEST_HEAD_S = 30
_LAST_ANSWERS_S = 5
"""How long clients have, behind the end of the work, to read what was answered."""

_TICKS_A_SECOND = 10
_TRIM_S = 30
_SWITCH_S = 0.0001
_log = logging.getLogger("realtts.http")


def serve(config: ServeConfig, **settings: Any) -> int:
    """Serve until a signal comes.

    Args:
        config: How.
        **settings: Settings of every provider.

    Returns:
        The exit code.

    Raises:
        RealTTSError: A provider is not installed, or a setting is wrong.
        SettingsError: The address cannot be listened on.
    """
    sockets = open_sockets(config.host, config.port)
    share_heap()
    try:
        app = create_app(config, **settings)
        _log_to_stdout()
        # The event loop waits so long for a provider's thread that computes in Python; by itself that is 5 ms a time.
        sys.setswitchinterval(_SWITCH_S)
        uvicorn_config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_SLOWEST_HEAD_S,
            timeout_graceful_shutdown=_LAST_ANSWERS_S,
            ws_max_size=int(config.max_body_mb * 2**20),
            lifespan="on",
        )
        server = DrainingServer(uvicorn_config, app.state.server)
        server.run(sockets)
    finally:
        for each in sockets:
            each.close()
    return 0 if server.started else 1


class DrainingServer(uvicorn.Server):
    """A server that answers what it has begun before it ends; a second signal ends it at once.

    Args:
        config: Uvicorn's.
        state: The application's.
    """

    def __init__(self, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config)
        self._state = state
        self._draining: asyncio.Task[None] | None = None
        self._headless: dict[Any, float] = {}
        self._trimmed = (time.monotonic(), 0)

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        if self.started:
            for each in self.servers:
                for socket in each.sockets:
                    host, port = socket.getsockname()[:2]
                    _log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)

    async def on_tick(self, counter: int) -> bool:
        """Close connections that send no request, and give back memory, now and then."""
        if counter % _TICKS_A_SECOND == 0:
            self._close_headless(time.monotonic())
            await self._trim()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal, end at the second."""
        if not self.started:
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(signal.Signals(sig))
        if self._draining is not None:
            self.should_exit = self.force_exit = True
            return
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        seconds = self._state.config.drain_s
        _log.info("draining for at most %g s", seconds)
        if not await self._state.gate.drain(seconds):
            _log.warning("%d requests are cut off", self._state.gate.running)
            await self._state.end()
        self.should_exit = True

    def _close_headless(self, now: float) -> None:
        """Close connections on which the head of a request does not come; uvicorn's timer begins behind the first."""
        waiting = [each for each in self.server_state.connections if _awaits_head(each)]
        self._headless = {each: self._headless.get(each, now) for each in waiting}
        for connection, since in self._headless.items():
            if now - since > _SLOWEST_HEAD_S:
                connection.transport.close()

    async def _trim(self) -> None:
        """Give back what the C library keeps of memory that requests have freed, if there were requests."""
        at, answered = self._trimmed
        if time.monotonic() - at > _TRIM_S and self.server_state.total_requests != answered:
            await asyncio.to_thread(trim)
            self._trimmed = (time.monotonic(), self.server_state.total_requests)


def _awaits_head(connection: Any) -> bool:
    """Tell whether a connection carries no request, and no timer waits for its next one."""
    cycle = getattr(connection, "cycle", connection)  # a WebSocket's protocol has none
    if cycle is connection or getattr(connection, "timeout_keep_alive_task", None) is not None:
        return False
    return cycle is None or cycle.response_complete


def _log_to_stdout() -> None:
    """Write the access log as lines of JSON to standard output; everything else goes where the command line logs."""
    access = logging.getLogger("realtts.http.access")
    access.propagate = False
    access.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    access.handlers = [handler]
    logging.getLogger("realtts.http").setLevel(logging.INFO)
