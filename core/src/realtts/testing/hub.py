"""A small look-alike of the model hub on 127.0.0.1, for tests of what fetches weights.

It answers what `huggingface_hub` asks when files are listed and downloaded, with the hub's own headers: large files
come from another host name by a redirect, parts of files can be asked for, and faults can be ordered::

    with FakeHub() as hub:
        hub.add("owner/model", {"config.json": b"{}", "model.safetensors": weights}, licence="mit")
        hub.cut("model.safetensors", after=1000)
        os.environ.update(hub.environment(tmp_path))
        files = realtts.checkpoints.fetch("owner/model", ["config.json", "model.safetensors"])
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from realtts.testing.hub_server import HubRequest, HubServer, Repository, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["FakeHub", "HubRequest"]


class FakeHub:
    """A hub on 127.0.0.1 that serves while it is entered as a context."""

    def __init__(self) -> None:
        self._server = HubServer()

    @property
    def endpoint(self) -> str:
        """Address of the hub, such as ``"http://127.0.0.1:41234"``."""
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def requests(self) -> list[HubRequest]:
        """Everything that was asked, in order."""
        return self._server.requests

    def add(
        self, repo: str, files: Mapping[str, bytes], *, revision: str = "main", licence: str = "", gated: bool = False
    ) -> str:
        """Publish files as a new commit of a repository, and let a branch name it.

        Args:
            repo: Hub id ``owner/name``.
            files: All files of the commit.
            revision: The branch.
            licence: For the model card.
            gated: Files are refused; the listing is not, as on the hub.

        Returns:
            The commit.
        """
        repository = self._server.repositories.setdefault(repo, Repository())
        state = hashlib.sha1(repo.encode(), usedforsecurity=False)
        for name, data in sorted(files.items()):
            state.update(f"{name}\0{digest_of(data)}\0".encode())
        commit = state.hexdigest()
        repository.commits[commit] = dict(files)
        repository.revisions.update({revision: commit, commit: commit})
        repository.licence, repository.gated = licence, gated
        return commit

    def cut(self, name: str, *, after: int, times: int = 1) -> None:
        """End the connection after so many bytes of a file's body, for so many downloads of it."""
        self._server.faults.cuts.setdefault(name, []).extend([after] * times)

    def spoil(self, name: str, *, times: int = 1) -> None:
        """Send wrong bytes of the right number, for so many downloads of a file."""
        self._server.faults.spoilt[name] = times

    def refuse(self, name: str, *, status: int = 404) -> None:
        """Answer every request for a file with a status, although the listing has it."""
        self._server.faults.statuses[name] = status

    def hold(self, name: str) -> threading.Event:
        """Stop half-way through every download of a file until the event that this returns is set."""
        return self._server.faults.gates.setdefault(name, threading.Event())

    def environment(self, home: Path) -> dict[str, str]:
        """Return variables that let `huggingface_hub` ask this hub and keep its cache in a folder of the test.

        They are to be set before the library is imported, or for a process of its own; `realtts.checkpoints` reads
        them at each call.
        """
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def downloads(self, name: str) -> list[HubRequest]:
        """Return the requests for the bytes of a file, in order."""
        large = {
            digest_of(files[name])
            for repository in self._server.repositories.values()
            for files in repository.commits.values()
            if name in files
        }  # fmt: skip
        ends = (f"/{name}", *(f"/{digest}" for digest in large))
        followed = {f"/store/{digest}" for digest in large if len(digest) == 64}
        return [
            request for request in self.requests
            if request.method == "GET" and request.path.endswith(ends) and (not followed or request.path in followed)
        ]  # fmt: skip

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
