"""Who may come in: names in the Host header, pages of other origins, API keys."""

from __future__ import annotations

import hmac
import ipaddress
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from realtts.errors import SettingsError
from realtts_http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.types import Scope

    from realtts_http.config import ServeConfig

__all__ = ["AccessRules", "headers_of", "read_keys"]

_KEY_PROTOCOL = "realtts-key."
_SIMPLE_TYPES = frozenset({b"", b"text/plain", b"multipart/form-data", b"application/x-www-form-urlencoded"})
"""Bodies that browsers send for pages of any origin without asking the server first."""

_SINGLE = (b"host", b"authorization", b"x-api-key", b"content-length", b"content-type", b"content-encoding", b"origin")
"""Headers that two layers would read differently if they stood there twice."""


def read_keys(path: Path | None) -> tuple[bytes, ...]:
    """Return the keys of a file, one a line; lines that begin with ``#`` are comments.

    Raises:
        SettingsError: It cannot be read, holds no key, or one that no header can carry.
    """
    if path is None:
        return ()
    try:
        lines = path.expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SettingsError(f"the API keys cannot be read: {reason}", who=str(path), fix="correct the path") from None
    keys = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        if not (line.isascii() and line.isprintable()):
            what = f"the key in line {number} has characters that no header can carry"
            raise SettingsError(what, who=str(path), fix="make keys of ASCII letters, digits and signs")
        keys.append(line.encode())
    if not keys:
        raise SettingsError("there is no API key in it", who=str(path), fix="write one key a line")
    return tuple(keys)


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers of a request by name.

    Raises:
        ProblemError: One stands there twice that may stand there once.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if len(headers) != len(scope["headers"]):
        counts = Counter(name for name, _ in scope["headers"])
        twice = next((name.decode() for name in _SINGLE if counts[name] > 1), None)
        if twice is not None:
            raise ProblemError(400, "invalid_header", f"The header {twice!r} stands there twice. Fix: send it once.")
    return headers


class AccessRules:
    """The rules of one server.

    Args:
        config: Names and origins that may come in.
        keys: Accepted API keys; none: everybody.
    """

    def __init__(self, config: ServeConfig, keys: tuple[bytes, ...]) -> None:
        self._keys = keys
        self._origins = {origin.lower().rstrip("/") for origin in config.cors_origins}
        self._hosts = {"localhost", *(name.lower().rstrip(".") for name in (config.host, *config.allowed_hosts))}

    def check_host(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse names of other machines: a page of theirs in a browser here would else speak with this server.

        Raises:
            ProblemError: 403.
        """
        if self._keys or "*" in self._hosts:
            return
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        name = name.strip("[]").rstrip(".")
        if not self._hosts.isdisjoint({name, host}):
            return
        try:
            ipaddress.ip_address(name)
        except ValueError:
            message = f"The Host header names {name!r:.100}. Fix: allow it with --allowed-host."
            raise ProblemError(403, "host_not_allowed", message) from None

    def check_origin(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Refuse what a browser lets pages of any origin send without asking first: WebSockets and forms.

        Raises:
            ProblemError: 403.
        """
        origin = headers.get(b"origin")
        if origin is None or self._keys or "*" in self._origins:
            return
        media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if scope["type"] == "http" and (scope["method"] != "POST" or media_type not in _SIMPLE_TYPES):
            return
        name = origin.decode("latin-1").lower()
        if name in self._origins or _place(name) == headers.get(b"host", b"").decode("latin-1").lower():
            return
        message = f"Pages of {name!r:.100} may not call. Fix: allow them with --cors-origin."
        raise ProblemError(403, "origin_not_allowed", message)

    def check_key(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Refuse whoever has no key, where keys are asked for.

        Raises:
            ProblemError: 401.
        """
        if not self._keys:
            return
        given = _given_key(scope, headers)
        # All of them are compared, so that the time tells nothing.
        if not sum(hmac.compare_digest(given, key) for key in self._keys):
            message = "The API key is wrong." if given else "There is no API key."
            message += " Fix: send it as 'Authorization: Bearer KEY'."
            raise ProblemError(401, "invalid_api_key", message)


def _given_key(scope: Scope, headers: Mapping[bytes, bytes]) -> bytes:
    for protocol in scope.get("subprotocols", ()) if scope["type"] == "websocket" else ():
        if protocol.startswith(_KEY_PROTOCOL):  # browsers can send no header with a WebSocket
            key: str = protocol.removeprefix(_KEY_PROTOCOL)
            return key.encode()
    scheme, _, key_of_header = headers.get(b"authorization", b"").partition(b" ")
    bearer = key_of_header.strip() if scheme.lower() == b"bearer" else b""
    return bearer or headers.get(b"x-api-key", b"").strip()


def _place(origin: str) -> str | None:
    """Return host and port of an origin as a Host header has them; None: it is of no server."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
