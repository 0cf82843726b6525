"""Reference recordings behind an address: refused unless a setting allows them, and then fetched within limits.

A server that passes its users' words on as a voice would else fetch for them what only it can reach. So the names are
looked up here, private addresses are refused, and the connection goes to the very address that was looked at.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import os
import socket
import ssl
import tempfile
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urlsplit

from realtts.errors import VoiceError, VoiceNotFound, VoiceUnreadable, VoiceUnsupported
from realtts.voices import reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts.contract.types import Voice

__all__ = ["fetch", "is_address"]

MOST_BYTES = 32 * 2**20
MOST_SECONDS = 30.0

_NAT64 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))
_COMPATIBLE = (0, 0xFFFF0000)  # ::a.b.c.d, and ::ffff:0:a.b.c.d of stateless translation
_ISATAP = (0x00005EFE, 0x02005EFE)
_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is handed out; of the rest, such as site-local addresses, Pythons call some global."""

_AS_THEY_ARE = "/?%:@!$&'()*+,;=~[]"
"""Signs of an address that have their meaning in it; letters beyond ASCII are written in percents."""

_PORT = 443
_BLOCK = 64 * 1024


def is_address(voice: str) -> bool:
    """Tell whether a voice is an address of any scheme, such as ``https://`` or ``file://``."""
    scheme, separator, _ = voice.partition("://")
    return bool(separator) and scheme.isalnum()


def fetch(address: str, *, allowed: bool, seconds: tuple[float, float], who: str) -> Voice:
    """Fetch the recording of an address, checked as any other.

    Args:
        address: ``https://`` on port 443, without a user's name.
        allowed: The setting ``voice_urls``.
        seconds: Shortest and longest recording that is allowed.
        who: Provider concerned, for messages.

    Raises:
        VoiceUnsupported: Addresses are not allowed, or not this one.
        VoiceNotFound: There is nothing to be had within the limits.
        VoiceUnreadable: It is no audio.
        VoiceUnsuitable: No voice can be learned from it.
    """
    if not allowed:
        raise VoiceUnsupported(
            "the voice is an address, which is not fetched", who=who,
            fix="download the recording and give the file, or set voice_urls=True (REALTTS_VOICE_URLS=true)",
        )  # fmt: skip
    parts = _parts(address, who)
    name = os.path.basename(parts.path) or parts.hostname or "recording"  # noqa: PTH119 - it is no path of this machine
    until = time.monotonic() + MOST_SECONDS
    try:
        content = _read(parts, until, who)
    except VoiceError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:  # names that no host can have are `ValueError`s
        raise _nothing(f"{name!r:.80} cannot be fetched: {error}", who) from error
    with _file(content, name) as path:
        try:
            loaded = reference.load(path, seconds=seconds, who=who)
        except VoiceUnreadable as error:
            raise VoiceUnreadable(f"{name!r:.80} is not readable audio", who=who, fix="give a WAV or FLAC") from error
    return reference.load((loaded.samples, loaded.sample_rate), seconds=seconds, who=who)


def _parts(address: str, who: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or port not in {None, _PORT}:
        raise VoiceUnsupported(
            f"the address {address!r:.100} is not fetched", who=who,
            fix="give one that begins with https://, without a user's name and another port",
        )  # fmt: skip
    return parts


def _read(parts: SplitResult, until: float, who: str) -> bytes:
    assert parts.hostname is not None
    connection = _Pinned(parts.hostname, _public(parts.hostname, who), until)
    with contextlib.closing(connection), _cut_at(until, connection):
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), _AS_THEY_ARE)
        connection.request("GET", target, headers={"Accept": "audio/*, application/octet-stream"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            where = " to another address: give that one" if answer.status in range(300, 400) else ""
            raise _nothing(f"the server answers {answer.status}{where}", who)
        content = bytearray()
        while block := answer.read1(_BLOCK):
            content += block
            if len(content) > MOST_BYTES:
                raise _nothing(f"it is larger than {MOST_BYTES >> 20} MiB", who)
        if time.monotonic() > until:
            raise _nothing(f"it took longer than {MOST_SECONDS:g} s", who)
        return bytes(content)


def _public(host: str, who: str) -> str:
    """Resolve the host to a public address; every one of its addresses must be public."""
    addresses = [str(info[4][0]) for info in socket.getaddrinfo(host, _PORT, type=socket.SOCK_STREAM)]
    for address in addresses:
        if not _is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise VoiceUnsupported(
                f"the host {host!r:.80} has a private address", who=who, fix="download the recording and give the file"
            )
    if not addresses:
        raise _nothing(f"the host {host!r:.80} has no address", who)
    return addresses[0]


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Tell whether an address, and each that it carries inside, is one of the whole internet.

    Gateways pass what is sent to an address of NAT64, 6to4, Teredo or ISATAP on to the IPv4 address in it.
    """
    if address.is_multicast or address.is_unspecified:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global
    # Of these Pythons differ in what they call global; the address inside decides alone.
    wrapper = _is_nat64(address) or address.sixtofour is not None or address.ipv4_mapped is not None
    return (wrapper or (address.is_global and address in _UNICAST)) and all(map(_is_public, _carried(address)))


def _is_nat64(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and any(address in network for network in _NAT64)


def _carried(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses inside an IPv6 address."""
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    middle = int(address) >> 32 & 0xFFFFFFFF
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if _is_nat64(address) or int(address) >> 32 in _COMPATIBLE or middle in _ISATAP:
        carried.append(last)
    return [each for each in carried if each is not None]


class _Pinned(http.client.HTTPSConnection):
    """A connection to one address of a host, which must prove that it is that host."""

    def __init__(self, host: str, address: str, until: float) -> None:
        super().__init__(host, _PORT, context=ssl.create_default_context())
        self._address, self._until = address, until

    def cut(self) -> None:
        """Shut the connection down from another thread; its reader sees the end."""
        with contextlib.suppress(AttributeError, OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def connect(self) -> None:
        """Connect to the checked address."""
        left = max(0.1, self._until - time.monotonic())
        plain = socket.create_connection((self._address, _PORT), timeout=min(left, 10.0))
        try:
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


@contextlib.contextmanager
def _cut_at(until: float, connection: _Pinned) -> Iterator[None]:
    """End the connection at that time: a server that sends a byte now and then must not hold us for ever."""
    timer = threading.Timer(max(0.0, until - time.monotonic()), connection.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _file(content: bytes, name: str) -> Iterator[str]:
    """Provide the content as a file while it is read."""
    suffix = os.path.splitext(name)[1][:8]  # noqa: PTH122
    handle, path = tempfile.mkstemp(suffix=suffix if suffix.isascii() and suffix[1:].isalnum() else "")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        yield path
    finally:
        os.unlink(path)  # noqa: PTH108


def _nothing(what: str, who: str) -> VoiceNotFound:
    return VoiceNotFound(what, who=who, fix="download the recording and give the file")
