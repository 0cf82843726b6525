"""HTTP to one server: connections, the key, redirects, and faults of the network as typed errors."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import ssl
from typing import TYPE_CHECKING, Any

import httpx

from realtts_remote.errors import BrokenSpeech, ServerFailed, ServerRefused, ServerUnreachable
from realtts_remote.refusals import error_of, message_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from realtts_remote.address import Address, Key

__all__ = ["Client"]

_MOST_REDIRECTS = 3
_MOST_OF_ERROR = 65_536
_MOST_OF_JSON = 8 * 2**20
_CONNECT_S = 10.0
_ANSWER_S = 30.0
"""Seconds for what a server knows without speaking."""

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_HERE = ("all://localhost", "all://127.0.0.1", "all://[::1]")


class Client:
    """Connections to a server. Made, used and closed in one event loop.

    Certificates are always verified: by the authorities of the file that ``SSL_CERT_FILE`` names, or else the usual
    ones. Proxies are those of the environment, but for addresses of this machine.

    Args:
        address: The server.
        key: Sent to this server alone.
    """

    def __init__(self, address: Address, key: Key) -> None:
        self.address, self.key = address, key
        self.who = f"server {address.shown}"
        self._http = httpx.AsyncClient(
            # Compressed answers are refused: what they unfold to has no limit.
            headers={**key.headers, "accept-encoding": "identity", "user-agent": "realtts"},
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            mounts=dict.fromkeys(_HERE),
            verify=_trusted(*(os.environ.get(name, "") for name in _CERTIFICATES)),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def get_json(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return an answer's JSON; None where the server has no such endpoint, or answers with something else.

        Raises:
            ServerError: It cannot be reached, or fails. ServerRefused: The key or the address do not fit.
        """
        url = self.address.at(path).copy_merge_params(dict(query or {}))
        async with self._sent("GET", url, None, _ANSWER_S) as answer:
            if answer.status_code in {404, 405, 410, 501}:
                return None
            await self.check(answer)
            content = await _read(answer, _MOST_OF_JSON)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            return None

    @contextlib.asynccontextmanager
    async def speech(self, body: Mapping[str, Any], timeout_s: float) -> AsyncIterator[httpx.Response]:
        """Ask for speech and provide the answer, whose body is read as it comes.

        Raises:
            ServerError: It cannot be reached, is busy or fails. ServerRefused: The key or the address do not fit.
            InputError: It does not take the request.
        """
        content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        async with self._sent("POST", self.address.at("audio/speech"), content, timeout_s) as answer:
            await self.check(answer)
            yield answer

    async def check(self, answer: httpx.Response) -> None:
        """Raise the error that an answer is, unless it is one of 2xx.

        Raises:
            ServerError, ServerRefused, InputError: As the answer means.
        """
        if answer.is_success:
            return
        said = message_of(await _read(answer, _MOST_OF_ERROR))
        said = said._replace(text=self.key.hide_in(said.text))
        raise error_of(answer.status_code, answer.headers, said, who=self.who, key=bool(self.key.value))

    @contextlib.asynccontextmanager
    async def _sent(
        self, method: str, url: httpx.URL, content: bytes | None, timeout_s: float
    ) -> AsyncIterator[httpx.Response]:
        """Send a request, follow redirects within the server, and provide the answer."""
        kind = {"content-type": "application/json"} if content is not None else {}
        timeout = httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s), pool=None)
        with self._faults(timeout_s):
            for _ in range(_MOST_REDIRECTS + 1):
                request = self._http.build_request(method, url, content=content, headers=kind, timeout=timeout)
                answer = await self._http.send(request, stream=True)
                try:
                    target = self._redirected(answer, url)
                    if target is None:
                        if answer.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
                            what = "it sent a compressed answer, which was not asked for"
                            raise BrokenSpeech(what, who=self.who, fix="switch compression of its answers off")
                        yield answer
                        return
                    url = target
                finally:
                    await answer.aclose()
        raise self._refused(f"it redirects more than {_MOST_REDIRECTS} times")

    def _redirected(self, answer: httpx.Response, url: httpx.URL) -> httpx.URL | None:
        """Return where a redirect leads, if it stays with this server; None: the answer is none.

        Raises:
            ServerRefused: It leads elsewhere, where neither text nor key were meant to go.
        """
        if not answer.has_redirect_location:
            return None
        try:
            target = url.join(answer.headers["location"])
        except (httpx.InvalidURL, ValueError):
            raise self._refused("it redirects to something that is no address") from None
        same = target.host == url.host and not target.userinfo
        as_before = (target.scheme, target.port) == (url.scheme, url.port)
        if not (same and (as_before or (url.scheme, target.scheme) == ("http", "https"))):
            raise self._refused(f"it redirects to another server, {target.host!r:.100}")
        if answer.request.method == "POST" and answer.status_code not in {307, 308}:
            raise self._refused(f"it redirects to {target.path!r:.100} in a way that loses the text")
        return target

    def _refused(self, what: str) -> ServerRefused:
        return ServerRefused(what, who=self.who, fix="give the address that it leads to, if you trust it")

    @contextlib.contextmanager
    def _faults(self, timeout_s: float) -> Iterator[None]:
        """Turn faults of the network into typed errors.

        Raises:
            ServerUnreachable: There is no connection, or no answer in time.
            ServerFailed: The connection was ended half-way.
        """
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise self._unreachable(error) from error
        except httpx.TimeoutException as error:
            fix = "see whether it works, or give it longer with timeout_s"
            raise ServerUnreachable(f"it sent nothing for {timeout_s:g} s", who=self.who, fix=fix) from error
        except httpx.TransportError as error:
            reason = self.key.hide_in(str(error)) or type(error).__name__
            what = f"the connection ended half-way: {reason[:200]}"
            raise ServerFailed(what, who=self.who, fix="see the server's own log", again=True) from error
        except httpx.InvalidURL:
            raise ServerRefused("its address cannot be read", who=self.who, fix="correct the address") from None

    def _unreachable(self, error: Exception) -> ServerUnreachable:
        link: BaseException | None = error
        while link is not None:
            if isinstance(link, ssl.SSLError):
                what = f"its certificate is not trusted: {link.reason or link.__class__.__name__}"
                fix = "let SSL_CERT_FILE name a file with its authority's certificate; it is always verified"
                return ServerUnreachable(what, who=self.who, fix=fix)
            link = link.__cause__ or link.__context__
        fix = "start it, or correct the address; a proxy of the environment may stand in the way"
        what = f"there is no connection: {str(error)[:200] or type(error).__name__}"
        return ServerUnreachable(what, who=self.who, fix=fix, again=True)


@functools.lru_cache(maxsize=8)
def _trusted(*places: str) -> ssl.SSLContext:  # noqa: ARG001 - what the answer depends on
    """Return what certificates are verified with; reading those of all authorities takes longer than a request.

    Args:
        places: What the variables name that say where the authorities' certificates are.
    """
    return httpx.create_ssl_context()


async def _read(answer: httpx.Response, most: int) -> bytes:
    """Return the beginning of an answer's body, up to so many bytes."""
    content = bytearray()
    async for data in answer.aiter_raw():
        content += data
        if len(content) >= most:
            break
    return bytes(content[:most])
