"""Whether a server takes requests, and how many it is answering."""

from __future__ import annotations

import asyncio

__all__ = ["Gate"]


class Gate:
    """Whether requests are taken, and how many are being answered. For one event loop.

    Attributes:
        running: Requests that are being answered.
    """

    def __init__(self) -> None:
        self.running = 0
        self._draining = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def draining(self) -> bool:
        """Whether no new requests are taken."""
        return self._draining.is_set()

    def close(self) -> None:
        """Take no more requests."""
        self._draining.set()

    async def until_draining(self) -> None:
        """Wait until no new requests are taken."""
        await self._draining.wait()

    def enter(self) -> None:
        """Count a request."""
        self.running += 1
        self._empty.clear()

    def leave(self) -> None:
        """Count the end of one."""
        self.running -= 1
        if not self.running:
            self._empty.set()

    async def drain(self, seconds: float) -> bool:
        """Take no more requests, and wait until the running ones have ended, at most this long.

        Returns:
            Whether all of them ended in time.
        """
        self.close()
        try:
            await asyncio.wait_for(self._empty.wait(), seconds)
        except asyncio.TimeoutError:  # on Python 3.10 not the built-in one
            return False
        return True
