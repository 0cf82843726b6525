"""The server: listens, keeps its connections, and ends in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.errors import RealTTSError, SettingsError
from realtts.serving.models import ServedModels
from realtts_wyoming.config import WyomingConfig, parse_uri
from realtts_wyoming.connection import Connection
from realtts_wyoming.events import LINE_LIMIT, Refusal
from realtts_wyoming.state import ServerState
from realtts_wyoming.voices import VoiceList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from realtts import ProviderSpec

__all__ = ["WyomingServer"]

_VERSION = "0.1.0"
_log = logging.getLogger("realtts.wyoming")


class WyomingServer:
    """A server of the Wyoming protocol, for one event loop; an asynchronous context manager.

    Args:
        config: How it runs; None: the defaults, which serve an embedded voice.
        specs: Providers of the application's own, beside those that are installed.
        **settings: Settings of every provider, as for `realtts.RealProvider`.

    Raises:
        RealTTSError: A provider is not installed, or a setting is wrong.
    """

    def __init__(
        self, config: WyomingConfig | None = None, specs: Sequence[ProviderSpec] = (), **settings: Any
    ) -> None:
        self._config = config = config or WyomingConfig()
        self._address = parse_uri(config.uri)
        models = ServedModels(
            config.providers,
            models=config.models,
            max_loaded=config.max_loaded,
            memory_mb=config.memory_mb,
            specs=specs,
            who="realtts wyoming",
            **settings,
        )
        self.state = ServerState(config, models, VoiceList(models, config.voices, _VERSION))
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._server: asyncio.Server | None = None
        self._preloading: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on; 0 for a Unix socket."""
        return 0 if self._address.path else int(self._sockets()[0].getsockname()[1])

    @property
    def uris(self) -> list[str]:
        """Where it listens."""
        if self._address.path:
            return [f"unix://{self._address.path}"]
        names = (each.getsockname()[:2] for each in self._sockets())
        return [f"tcp://{f'[{host}]' if ':' in host else host}:{port}" for host, port in names]

    async def start(self) -> None:
        """Listen, and begin to load the models where the configuration says so.

        Raises:
            SettingsError: The address cannot be listened on.
        """
        # What plugins import to name their voices is imported now: clients wait a second for their list.
        await self.state.in_thread(self.state.voices.info)
        try:
            self._server = await self._listen()
        except (OSError, NotImplementedError, AttributeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "this system has no such sockets"
            raise SettingsError(
                f"{self._config.uri} cannot be listened on: {reason}",
                who="realtts wyoming",
                fix="choose another --uri, or end the program that has it",
            ) from None
        for uri in self.uris:
            _log.info("listening on %s", uri)
        if self._config.preload:
            self._preloading = asyncio.create_task(self._preload())

    async def drain(self) -> None:
        """Take no new texts, and speak those that were taken, for at most the time that the configuration gives."""
        if self._server is not None:
            self._server.close()
        self.state.gate.close()
        for connection in [*self._connections.values()]:
            connection.end_if_idle()
        if not await self.state.gate.drain(self._config.drain_s):
            _log.warning("%d texts are cut off", self.state.gate.running)

    async def close(self) -> None:
        """Stop everything and free the models."""
        self.state.gate.close()
        if self._server is not None:
            self._server.close()
        for connection in [*self._connections.values()]:
            connection.stop()
        if self._preloading is not None:
            self._preloading.cancel()
        await asyncio.gather(*self._connections, *filter(None, [self._preloading]), return_exceptions=True)
        await self.state.close()
        if self._address.path:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(Path(self._address.path).unlink, missing_ok=True)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _listen(self) -> asyncio.Server:
        host, port, path = self._address
        if path:
            return await asyncio.start_unix_server(self._welcome, path, limit=LINE_LIMIT)
        return await asyncio.start_server(self._welcome, host, port, limit=LINE_LIMIT)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a client until it leaves."""
        connection = Connection(self.state, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        if not self._make_room():
            message = f"{len(self._connections)} clients are being answered, which is the most. Fix: try again later."
            await connection.refuse(Refusal("busy", message))
            return
        self._connections[task] = connection
        try:
            await connection.run()
        except asyncio.CancelledError:
            pass  # the server ends; asyncio would show the cancelled task as a fault
        finally:
            del self._connections[task]

    def _make_room(self) -> bool:
        """End the connection that was idle for the longest time, if there are as many as there may be."""
        staying = [each for each in self._connections.values() if not each.is_leaving]
        if len(staying) < self._config.max_connections:
            return True
        idle = [each for each in staying if each.is_idle]
        if not idle:
            return False
        min(idle, key=lambda each: each.used).stop()
        return True

    def _sockets(self) -> Sequence[Any]:
        assert self._server is not None, "not started"
        return self._server.sockets

    async def _preload(self) -> None:
        try:
            await self.state.models.preload()
        except RealTTSError:
            _log.exception("a model could not be loaded")
