"""Requests to the hub through `huggingface_hub`, and its errors as ours."""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from realtts.checkpoints.selection import is_safe
from realtts.errors import CheckpointCorrupt, CheckpointError, CheckpointForbidden, CheckpointMissing, DownloadFailed

__all__ = ["Listing", "RemoteFile", "endpoint", "is_commit", "is_offline", "library", "list_files", "raise_ours"]

_TRUE = frozenset({"1", "on", "yes", "true"})
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub's listing has it.

    Attributes:
        name: Path in the repository.
        size: Bytes; None when the hub does not say.
        digest: SHA-256 of a large file, git's SHA-1 of a small one, in hexadecimal; empty when the hub does not say.
    """

    name: str
    size: int | None = None
    digest: str = ""


@dataclass(frozen=True)
class Listing:
    """A repository at one commit.

    Attributes:
        commit: What the revision stands for at this moment.
        files: By name.
        licence: As the model card states it; empty when it does not.
    """

    commit: str
    files: dict[str, RemoteFile]
    licence: str = ""


def library(part: str = "") -> Any:
    """Import `huggingface_hub`, or one of its modules such as ``".errors"``; nothing else imports it.

    Raises:
        CheckpointError: It is not installed.
    """
    try:
        return importlib.import_module(f"huggingface_hub{part}")
    except ImportError as error:
        raise CheckpointError(
            f"fetching from the hub needs a package that is missing: {error.name or error}", who="realtts.checkpoints",
            fix='pip install "realtts[hub]", or give a local folder as model=',
        ) from error  # fmt: skip


def endpoint() -> str | None:
    """Return the hub's address, by ``HF_ENDPOINT``, read now: the library reads it once, at its import."""
    return os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or None


def is_offline() -> bool:
    """Tell whether ``HF_HUB_OFFLINE`` (or ``TRANSFORMERS_OFFLINE``) forbids asking the hub."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    if value.strip().lower() in _TRUE:
        return True
    return bool(library(".constants").HF_HUB_OFFLINE)  # it was set when the library was imported, which then refuses


def is_commit(revision: str) -> bool:
    """Tell whether a revision is a whole commit, whose files never change."""
    return _COMMIT.fullmatch(revision) is not None


def list_files(repo: str, revision: str, who: str) -> Listing:
    """Ask for commit, files, sizes and licence in one request.

    Raises:
        CheckpointMissing: No such repository or revision.
        CheckpointForbidden: It is closed to us.
        CheckpointCorrupt: The answer is no listing.
        DownloadFailed: The hub cannot be reached.
    """
    hub = library()
    try:
        info = hub.HfApi(endpoint=endpoint(), library_name="realtts").model_info(
            repo, revision=revision, files_metadata=True
        )
    except Exception as error:
        raise_ours(error, who=who, repo=repo, revision=revision)
    if not isinstance(info.sha, str) or not is_commit(info.sha):
        raise CheckpointCorrupt(
            f"the hub answered with the commit {info.sha!r}", who=who, fix="check HF_ENDPOINT: this is no hub"
        )
    siblings = (RemoteFile(sibling.rfilename, sibling.size, _digest(sibling)) for sibling in info.siblings or ())
    # What lies outside the repository is never asked for.
    files = {file.name: file for file in siblings if is_safe(file.name)}
    return Listing(info.sha, files, _licence(info))


def _digest(sibling: Any) -> str:
    large = getattr(sibling, "lfs", None)
    digest = getattr(large, "sha256", None) if large is not None else getattr(sibling, "blob_id", None)
    return digest if isinstance(digest, str) else ""


def _licence(info: Any) -> str:
    card = getattr(info, "card_data", None)
    stated = card.get("license") if card is not None else None
    if isinstance(stated, str) and stated.lower() != "other":
        return stated
    name = card.get("license_name") if card is not None else None
    return name if isinstance(name, str) else stated if isinstance(stated, str) else ""


def raise_ours(error: Exception, *, who: str, repo: str, revision: str, file: str | None = None) -> NoReturn:
    """Raise what an exception of the library means, with the exception as its cause."""
    if isinstance(error, CheckpointError):
        raise error
    errors = library(".errors")
    at = f"{repo} at revision {revision}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    cases: tuple[tuple[bool, type[CheckpointError], str, str], ...] = (
        (
            isinstance(error, errors.GatedRepoError) or status == 403, CheckpointForbidden, f"{at} is not open to you",
            f"accept its conditions on the hub's page of {repo}, then log in with 'hf auth login' or set HF_TOKEN",
        ),
        (
            isinstance(error, errors.RevisionNotFoundError), CheckpointMissing, f"{repo} has no revision {revision}",
            "correct the part behind @ in model=",
        ),
        (
            isinstance(error, errors.EntryNotFoundError) and status == 404, CheckpointMissing,
            f"{file} missing in {at}",
            "check model= and its revision: this provider needs that file",
        ),
        (
            isinstance(error, errors.RepositoryNotFoundError), CheckpointMissing,
            f"the hub has no repository {repo}, or it is private",
            "correct model=; for a private one log in with 'hf auth login' or set HF_TOKEN",
        ),
        (
            isinstance(error, errors.HFValidationError), CheckpointMissing, f"{repo!r} is no hub id",
            "correct model=, it is owner/name or owner/name@revision",
        ),
        (
            status == 401, CheckpointForbidden, f"{at} refuses the token in use",
            "log in with 'hf auth login', or correct HF_TOKEN",
        ),
    )  # fmt: skip
    for fits, kind, what, fix in cases:
        if fits:
            raise kind(what, who=who, fix=fix) from error
    raise DownloadFailed(
        f"{file or at} could not be fetched: {_short(error)}", who=who,
        fix="check the network and try again: what arrived is kept and used; or give a local folder as model=",
    ) from error  # fmt: skip


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text:.160}".rstrip(": ")
