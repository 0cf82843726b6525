"""Where the server is, which of its models is meant, and the key for it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from realtts_remote.errors import ServerRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.contract.spec import Checkpoint

__all__ = ["WHO", "Address", "find_address", "find_key"]

WHO = "provider 'openai-compatible'"
ADDRESS_VARIABLE = "OPENAI_BASE_URL"
KEY_VARIABLE = "OPENAI_API_KEY"
KEY_FILE_VARIABLE = "OPENAI_API_KEY_FILE"

_EXAMPLE = "http://127.0.0.1:8000/v1"
_HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(/.*)?|\[[0-9a-fA-F:]+\].*")
_HOST = re.compile(rb"[\w.-]+|[0-9a-fA-F:.]+")
_LAST_PORT = 65_535
_MOST_OF_KEY_FILE = 65_536


@dataclass(frozen=True)
class Address:
    """A server, and a model of it.

    Attributes:
        url: What comes before ``/audio/speech``, with the query that every request gets.
        model: Name of the model at the server; empty: the server's list decides.
    """

    url: httpx.URL
    model: str = ""

    def at(self, path: str) -> httpx.URL:
        """Return the address of an endpoint, such as ``"audio/speech"``."""
        return self.url.copy_with(path=f"{self.url.path.rstrip('/')}/{path}")

    @property
    def shown(self) -> str:
        """The address for status and messages, without a query, in which some servers are given keys."""
        return str(self.url.copy_with(query=None, fragment=None))


@dataclass(frozen=True)
class Key:
    """An API key, which is never shown.

    Attributes:
        value: The key; empty: there is none.
    """

    value: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The header that carries it."""
        return {"authorization": f"Bearer {self.value}"} if self.value else {}

    def hide_in(self, text: str) -> str:
        """Return a text of the server's with asterisks for the key."""
        return text.replace(self.value, "***") if self.value else text


def find_address(checkpoint: Checkpoint | None, environ: Mapping[str, str] = os.environ) -> Address:
    """Return the server of ``model=``, or else of the environment.

    ``model=`` is an address, with ``#NAME`` behind it for one of its models, or a model's name alone.

    Args:
        checkpoint: Its name is what the user gave as ``model=``; None: nothing.
        environ: Environment to read.

    Raises:
        ServerRefused: No server is named, or the address cannot be one.
    """
    given = checkpoint.name if checkpoint is not None else ""
    if "://" in given:
        text, _, model = given.partition("#")
        return Address(_checked(text, "model="), model.strip())
    address = environ.get(ADDRESS_VARIABLE, "").strip()
    if address:
        return Address(_checked(address, ADDRESS_VARIABLE), given)
    what, fix = "no server is named", f"give its address as model={_EXAMPLE!r}, or set {ADDRESS_VARIABLE}"
    if _HOST_AND_PORT.fullmatch(given):
        what, fix = f"model is {given!r:.100}, which has no scheme", f"write http:// or https:// before it: {_EXAMPLE}"
    raise ServerRefused(what, who=WHO, fix=fix)


def find_key(environ: Mapping[str, str] = os.environ) -> Key:
    """Return the key of the environment, or of the file that it names.

    Raises:
        ServerRefused: The file cannot be read, or what it holds can be no key.
    """
    value, source = environ.get(KEY_VARIABLE, "").strip(), KEY_VARIABLE
    path = environ.get(KEY_FILE_VARIABLE, "").strip()
    if not value and path:
        source = KEY_FILE_VARIABLE
        try:
            with Path(path).expanduser().open("rb") as file:
                lines = file.read(_MOST_OF_KEY_FILE).decode("ascii").split()
        except (OSError, ValueError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ServerRefused(
                f"the file that {source} names cannot be read: {reason}", who=WHO, fix="name a file that holds the key"
            ) from None
        value = lines[0] if len(lines) == 1 else " "
    if value and not (value.isascii() and value.isprintable() and " " not in value):
        raise ServerRefused(
            f"{source} holds something else than a key", who=WHO, fix="let it hold the key alone, on one line"
        )
    return Key(value)


def _checked(text: str, source: str) -> httpx.URL:
    fix = f"give what comes before /audio/speech, such as {_EXAMPLE}"
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, ValueError, TypeError):
        raise ServerRefused(f"the address of {source} cannot be read", who=WHO, fix=fix) from None
    if url.userinfo:
        raise ServerRefused(
            f"the address of {source} holds a user's name or a password", who=WHO,
            fix=f"give it without them, and the key in {KEY_VARIABLE}",
        )  # fmt: skip
    if url.scheme not in {"http", "https"} or not _HOST.fullmatch(url.raw_host) or (url.port or 0) > _LAST_PORT:
        raise ServerRefused(f"the address of {source} is none of a server", who=WHO, fix=fix)
    url = url.copy_with(fragment=None)
    path = url.path.rstrip("/").removesuffix("/audio/speech")
    return url.copy_with(path=path or "/v1")
