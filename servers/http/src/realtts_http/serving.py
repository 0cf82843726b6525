"""The process of the server: one loop, a socket, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any

import uvicorn

from realtts.errors import SettingsError
from realtts_http.app import create_app

if TYPE_CHECKING:
    from types import FrameType

    from realtts_http.config import ServeConfig
    from realtts_http.server_state import ServerState

__all__ = ["DrainingServer", "serve"]

_SLOWEST_HEAD_S = 30
_SWITCH_S = 0.0005


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
    app = create_app(config, **settings)
    _log_to_stdout()
    # The event loop waits so long for a provider's thread that computes in Python; by itself that is 5 ms each time.
    sys.setswitchinterval(_SWITCH_S)
    uvicorn_config = uvicorn.Config(
        app,
        host=config.host,
        port=config.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_SLOWEST_HEAD_S,
        ws_max_size=2**20,
        lifespan="on",
    )
    server = DrainingServer(uvicorn_config, app.state.server)
    try:
        server.run()
    except OSError as error:
        address = f"{config.host}:{config.port}"
        raise SettingsError(
            f"{address} cannot be listened on: {error.strerror or error}",
            who="realtts serve",
            fix="choose another --port, or end the program that has it",
        ) from None
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

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        if self.started:
            for each in self.servers:
                for socket in each.sockets:
                    host, port = socket.getsockname()[:2]
                    logging.getLogger("realtts.http").info("listening on http://%s:%d", host, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal, end at the second."""
        if self._draining is not None or not self.started:
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(signal.Signals(sig))
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        seconds = self._state.config.drain_s
        logging.getLogger("realtts.http").info("draining for at most %g s", seconds)
        if not await self._state.gate.drain(seconds):
            logging.getLogger("realtts.http").warning("%d requests are cut off", self._state.gate.running)
        self.should_exit = True
        self.force_exit = bool(self._state.gate.running)


def _log_to_stdout() -> None:
    """Write the access log as lines of JSON to standard output; everything else goes where the command line logs."""
    access = logging.getLogger("realtts.http.access")
    access.propagate = False
    access.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    access.handlers = [handler]
    logging.getLogger("realtts.http").setLevel(logging.INFO)
