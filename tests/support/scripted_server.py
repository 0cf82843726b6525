"""A server that answers as a test tells it: broken, slow, endless, or at another address."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Seen:
    """A request as it came.

    Attributes:
        method: Such as ``POST``.
        path: With the query.
        headers: Names in lower case.
        body: Whole.
        socket: Where the answer goes.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    socket: socket.socket

    @property
    def json(self):
        """The body's fields."""
        return json.loads(self.body)

    def answer(self, content=b"", status="200 OK", kind="audio/pcm", *, length=None, **headers):
        """Send an answer; ``length`` may say what is not true, and None of it leaves the end to the connection's."""
        content = content.encode() if isinstance(content, str) else content
        named = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if length is not None:
            named["Content-Length"] = len(content) if length == "true" else length
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items() if value is not None)]
        self.send("\r\n".join([*lines, "Connection: close", "", ""]).encode() + content)

    def send(self, data):
        """Send more."""
        self.socket.sendall(data)

    def until_closed(self):
        """Wait for the client to close the connection."""
        with contextlib.suppress(OSError):
            while self.socket.recv(4096):
                pass


@dataclass
class ScriptedServer:
    """A server on a free port of this machine.

    Attributes:
        routes: What answers, by method and path; a function of `Seen`, or a list of such for one request after the
            other, the last one for all that follow.
        seen: Requests, in order.
    """

    routes: dict[str, Callable[[Seen], None] | list[Callable[[Seen], None]]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def asked(self, path="/v1/audio/speech"):
        """Return the requests for a path."""
        return [seen for seen in self.seen if seen.path.partition("?")[0] == path]

    def close(self):
        """Take no further connection, and wait for the end of those that there are."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(20)

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            request = self._read(connection)
            if request is None:
                return
            with self._lock:
                self.seen.append(request)
                route = self.routes.get(f"{request.method} {request.path.partition('?')[0]}")
                if isinstance(route, list):
                    route = route.pop(0) if len(route) > 1 else route[0]
            if route is None:
                request.answer('{"detail": "Not Found"}', "404 Not Found", "application/json", length="true")
            else:
                route(request)

    def _read(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        return Seen(method, path, headers, body, connection)
