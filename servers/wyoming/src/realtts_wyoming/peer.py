"""The client's end of a connection: events sent with a time limit, and whether anybody still reads them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from wyoming.event import async_write_event
from wyoming.ping import Ping

if TYPE_CHECKING:
    from wyoming.event import Event

__all__ = ["Peer", "PeerGoneError"]

_LOOK_S = 0.05
_LINGER_S = 1.0
_LINGER_BYTES = 2**20
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class PeerGoneError(Exception):
    """The client is gone, or takes nothing any more."""


class Peer:
    """Sends events to a client.

    Args:
        reader: What comes from it.
        writer: What goes to it.
        timeout_s: Longest wait for it to take an event.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self._reader, self._writer, self._timeout_s = reader, writer, timeout_s
        self._sending = asyncio.Lock()
        self._socket: socket.socket | None = writer.get_extra_info("socket")
        self._keep_alive()

    async def send(self, event: Event) -> None:
        """Send an event.

        Raises:
            PeerGoneError: The client is gone, or takes nothing for too long.
        """
        async with self._sending:
            if self._writer.is_closing():
                raise PeerGoneError
            try:
                await asyncio.wait_for(async_write_event(event, self._writer), self._timeout_s)
            except asyncio.TimeoutError:  # on Python 3.10 not the built-in one
                self._writer.transport.abort()
                raise PeerGoneError from None
            except (ConnectionError, OSError, RuntimeError):
                raise PeerGoneError from None

    async def gone(self) -> None:
        """Return when a client that sends no more reads no more either.

        It may have closed the connection, or its own direction only: the difference shows when something is sent, so it
        gets a ``ping``, which a client that only waits for audio passes over.
        """
        with contextlib.suppress(PeerGoneError):
            await self.send(Ping().event())
            while not (self._writer.is_closing() or self._is_reset()):  # noqa: ASYNC110 - no event tells of a reset
                await asyncio.sleep(_LOOK_S)

    async def close(self) -> None:
        """Close the connection when the client has taken what was sent; what it sends meanwhile is dropped.

        A socket that is closed while there is something to read is reset, and the client would lose the last event.
        """
        try:
            if self._writer.can_write_eof() and not self._writer.is_closing():
                with contextlib.suppress(OSError, asyncio.TimeoutError):
                    self._writer.write_eof()
                    await asyncio.wait_for(self._drop(), _LINGER_S)
            self._writer.close()
            with contextlib.suppress(Exception):  # whatever the connection ends with
                await asyncio.wait_for(self._writer.wait_closed(), self._timeout_s)
        finally:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()

    async def _drop(self) -> None:
        left = _LINGER_BYTES
        while left > 0 and (data := await self._reader.read(2**16)):
            left -= len(data)

    def _is_reset(self) -> bool:
        try:
            return self._socket is None or self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
        except OSError:
            return True

    def _keep_alive(self) -> None:
        """Let the system find out, within minutes, when the client's machine is gone without a word."""
        if self._socket is None or self._socket.family not in {socket.AF_INET, socket.AF_INET6}:
            return
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEP_ALIVE.items():
                if hasattr(socket, name):  # not on every system
                    self._socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
