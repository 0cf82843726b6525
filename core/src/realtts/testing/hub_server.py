"""The server behind `FakeHub`: routes and headers of the hub, as far as listing and downloading need them."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

__all__ = ["Faults", "HubHandler", "HubRequest", "HubServer", "Repository", "digest_of"]

_LARGE = 1024
"""Files of at least so many bytes are kept as the hub keeps large ones: named by SHA-256, on another host."""


@dataclass(frozen=True)
class HubRequest:
    """A request that the hub received.

    Attributes:
        method: ``"GET"`` or ``"HEAD"``.
        path: Decoded, without the query.
        range: The header of that name; empty when there was none.
        authorization: The header of that name; empty when there was none.
    """

    method: str
    path: str
    range: str = ""
    authorization: str = ""


@dataclass
class Repository:
    """A repository: branches and commits, and the files of each commit by name."""

    revisions: dict[str, str] = field(default_factory=dict)  # branch or commit -> commit
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    licence: str = ""
    gated: bool = False


@dataclass
class Faults:
    """The faults to show, by the file's name.

    Attributes:
        cuts: Bytes after which the next downloads end.
        spoilt: How many downloads get wrong bytes.
        statuses: What requests are refused with.
        gates: What downloads wait for, half-way.
    """

    cuts: dict[str, list[int]] = field(default_factory=dict)
    spoilt: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    gates: dict[str, threading.Event] = field(default_factory=dict)


class HubServer(ThreadingHTTPServer):
    """A server of repositories, with their faults.

    Attributes:
        repositories: By hub id.
        faults: What is to go wrong.
        requests: Everything that was asked, in order.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.faults = Faults()
        self.requests: list[HubRequest] = []
        super().__init__(("127.0.0.1", 0), HubHandler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that goes away in the middle, as some tests do."""


class HubHandler(BaseHTTPRequestHandler):
    """One request; routes and headers as the hub has them."""

    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        """Answer with headers only."""
        self._answer()

    def do_GET(self) -> None:
        """Answer with headers and body."""
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
        """Print nothing: tests are quiet."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(
            HubRequest(self.command, path, self.headers.get("Range", ""), self.headers.get("Authorization", ""))
        )
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and len(parts) >= 4:
            revision = "/".join(parts[5:]) if parts[4:5] == ["revision"] else "main"
            self._list("/".join(parts[2:4]), revision)
        elif parts[0] == "store" and len(parts) == 2:
            self._stored(parts[1])
        elif len(parts) >= 5 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._error(404, "EntryNotFound")

    def _list(self, repo: str, revision: str) -> None:
        place = self._find(repo, revision)
        if place is None:
            return
        repository, commit = place
        siblings = [
            {"rfilename": name, "size": len(data), "blobId": _git_digest(data)}
            | ({"lfs": {"sha256": digest_of(data), "size": len(data), "pointerSize": 130}} if _is_large(data) else {})
            for name, data in repository.commits[commit].items()
        ]
        card = {"license": repository.licence} if repository.licence else {}
        body = {
            "id": repo, "modelId": repo, "sha": commit, "private": False, "gated": repository.gated, "tags": [],
            "downloads": 0, "likes": 0, "cardData": card, "siblings": siblings,
        }  # fmt: skip
        self._send(json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        place = self._find(repo, revision)
        if place is None:
            return
        repository, commit = place
        data = repository.commits[commit].get(name)
        about = {"X-Repo-Commit": commit}
        status = self.server.faults.statuses.get(name)
        if repository.gated:
            self._error(401, "GatedRepo", about)
        elif data is None or status == 404:
            self._error(404, "EntryNotFound", about)
        elif status is not None:
            self._error(status, "", about)
        elif _is_large(data):
            about |= {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{digest_of(data)}"'}
            store = f"http://localhost:{self.server.port}/store/{quote(digest_of(data))}"
            self._send(b"", {**about, "Location": store}, status=302)
        else:
            self._send_file(name, data, {**about, "ETag": f'"{digest_of(data)}"'})

    def _stored(self, digest: str) -> None:
        for repository in self.server.repositories.values():
            for files in repository.commits.values():
                for name, data in files.items():
                    if digest_of(data) == digest:
                        self._send_file(name, data, {"ETag": f'"{digest}"'})
                        return
        self._error(404, "EntryNotFound")

    def _find(self, repo: str, revision: str) -> tuple[Repository, str] | None:
        repository = self.server.repositories.get(repo)
        if repository is None:
            self._error(404, "RepoNotFound")
            return None
        if revision not in repository.revisions:
            self._error(404, "RevisionNotFound")
            return None
        return repository, repository.revisions[revision]

    def _send_file(self, name: str, data: bytes, about: Mapping[str, str]) -> None:
        requested = self.headers.get("Range", "")
        begin = int(requested.removeprefix("bytes=").partition("-")[0]) if requested else 0
        if requested and begin >= len(data):
            self._error(416, "")
            return
        part = data[begin:]
        if self.command == "GET" and self.server.faults.spoilt.get(name, 0):
            self.server.faults.spoilt[name] -= 1
            part = bytes(byte ^ 1 for byte in part)
        headers = {**about, "Accept-Ranges": "bytes"}
        if requested:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        cuts = self.server.faults.cuts.get(name, [])
        cut = cuts.pop(0) if cuts and self.command == "GET" else None
        self._send(part, headers, status=206 if requested else 200, cut=cut, gate=self.server.faults.gates.get(name))

    def _error(self, status: int, code: str, about: Mapping[str, str] | None = None) -> None:
        self._send(b"", {**(about or {}), **({"X-Error-Code": code} if code else {})}, status=status)

    def _send(
        self, body: bytes, headers: Mapping[str, str], *, status: int = 200, cut: int | None = None,
        gate: threading.Event | None = None,
    ) -> None:  # fmt: skip
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            sent = body if cut is None else body[:cut]
            half = len(sent) // 2 if gate is not None else 0
            self.wfile.write(sent[:half])
            if gate is not None:
                gate.wait(60)
            self.wfile.write(sent[half:])
        if cut is not None:
            self.close_connection = True


def _is_large(data: bytes) -> bool:
    return len(data) >= _LARGE


def digest_of(data: bytes) -> str:
    """Return SHA-256 of a large file, git's SHA-1 of a small one, in hexadecimal."""
    return hashlib.sha256(data).hexdigest() if _is_large(data) else _git_digest(data)


def _git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
