"""The announcement in the local network, by which Home Assistant finds the server itself."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
from typing import TYPE_CHECKING

from realtts.errors import MissingExtra, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["announced", "own_address"]

_TYPE = "_wyoming._tcp.local."
_GROUPS = {socket.AF_INET: "224.0.0.251", socket.AF_INET6: "ff02::fb"}
_log = logging.getLogger("realtts.wyoming")


@contextlib.asynccontextmanager
async def announced(name: str, host: str, port: int) -> AsyncIterator[None]:
    """Announce the server while the context lasts.

    Args:
        name: What others see; another server of that name makes it ``NAME-2``. Empty: nothing is announced.
        host: Where the server listens; an address that means all of the machine stands for the one that others reach.
        port: Its port.

    Raises:
        MissingExtra: The package zeroconf is not installed.
        SettingsError: No address of this machine can be announced.
    """
    if not name:
        yield
        return
    try:
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf
    except ImportError:
        raise MissingExtra(
            "announcing the server needs the package zeroconf",
            who="realtts wyoming",
            fix="pip install 'realtts-wyoming[zeroconf]', or leave out --zeroconf",
        ) from None
    address = own_address(host)
    service = AsyncServiceInfo(_TYPE, f"{name}.{_TYPE}", addresses=[address.packed], port=port)
    network = AsyncZeroconf()
    try:
        await network.async_register_service(service, allow_name_change=True)
        _log.info("announced as %s, at %s", service.name, address)
        yield
        await network.async_unregister_all_services()
    finally:
        await network.async_close()


def own_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address by which others reach a server of this machine.

    Args:
        host: Where it listens.

    Raises:
        SettingsError: There is none.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0]
        family, given = found[0], ipaddress.ip_address(found[4][0])
        if not given.is_unspecified:
            return given
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_GROUPS[family], 5353))  # sends nothing: the system chooses the interface
            return ipaddress.ip_address(probe.getsockname()[0])
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"no address of this machine can be announced for {host!r}: {error}",
            who="realtts wyoming",
            fix="name the address to listen on in --uri, or leave out --zeroconf",
        ) from None
