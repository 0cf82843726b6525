"""The sockets that the server listens on."""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from realtts.errors import SettingsError

__all__ = ["open_sockets"]

_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""What the addresses of a family get that the machine does not have."""


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Return a bound socket for every address of a host.

    Args:
        host: Name or address.
        port: 0: any free one.

    Raises:
        SettingsError: None of them can be listened on, or one is taken.
    """
    sockets: list[socket.socket] = []
    fault: OSError | None = None
    try:
        for family, kind, protocol, _, address in _addresses(host, port):
            try:
                sockets.append(_bound(family, kind, protocol, address))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                fault = error
        if not sockets:
            raise fault or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except (OSError, UnicodeError) as error:
        for each in sockets:
            each.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"{host}:{port} cannot be listened on: {reason[:1].lower()}{reason[1:]}",
            who="realtts serve",
            fix="choose another --host or --port, or end the program that has it",
        ) from None
    return sockets


def _addresses(host: str, port: int) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    every = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys(every))


def _bound(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    bound = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with contextlib.suppress(AttributeError, OSError):
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound
