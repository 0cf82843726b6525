"""The process of the server: one loop, an announcement, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING, Any

from realtts_wyoming.announcement import announced
from realtts_wyoming.config import parse_uri
from realtts_wyoming.server import WyomingServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts_wyoming.config import WyomingConfig

__all__ = ["serve"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(config: WyomingConfig, **settings: Any) -> int:
    """Serve until a signal comes; what was begun is spoken to its end, unless a second signal comes.

    Args:
        config: How.
        **settings: Settings of every provider.

    Returns:
        The exit code.

    Raises:
        RealTTSError: A provider is not installed, or a setting is wrong.
        SettingsError: The address cannot be listened on.
    """
    logging.getLogger("realtts.wyoming").setLevel(logging.INFO)
    asyncio.run(_serve(config, settings))
    return 0


async def _serve(config: WyomingConfig, settings: dict[str, Any]) -> None:
    with _signals() as ends:
        async with WyomingServer(config, **settings) as server:
            async with announced(config.zeroconf, parse_uri(config.uri).host, server.port):
                await ends[0].wait()
            draining = asyncio.create_task(server.drain())
            at_once = asyncio.create_task(ends[1].wait())
            logging.getLogger("realtts.wyoming").info("draining for at most %g s", config.drain_s)
            await asyncio.wait({draining, at_once}, return_when=asyncio.FIRST_COMPLETED)
            for task in (draining, at_once):
                task.cancel()
            await asyncio.gather(draining, at_once, return_exceptions=True)


@contextlib.contextmanager
def _signals() -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Give events for the first and the second signal that asks for the end."""
    loop, ends = asyncio.get_running_loop(), (asyncio.Event(), asyncio.Event())

    def note() -> None:
        (ends[1] if ends[0].is_set() else ends[0]).set()

    def handle(*_: object) -> None:
        loop.call_soon_threadsafe(note)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield ends
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
