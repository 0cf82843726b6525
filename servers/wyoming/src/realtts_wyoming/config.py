"""How the server runs: one frozen object from the command line, the environment and ``realtts.toml``."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field

from realtts.errors import SettingsError
from realtts.serving.configuration import ServerSettings, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Address", "WyomingConfig", "parse_uri", "resolve_config"]


class WyomingConfig(ServerSettings):
    """Settings of the server. Immutable; unknown names are rejected.

    In ``realtts.toml`` they stand in the table ``[wyoming]``, in the environment as ``REALTTS_WYOMING_URI`` and so on.

    Raises:
        SettingsError: From `resolve_config`: an unknown name or a wrong value.
    """

    providers: tuple[str, ...] = Field((), description="Providers to serve, the default one first.")
    models: dict[str, str] = Field(default_factory=dict, description="Checkpoint, hub id or folder by provider.")
    uri: str = Field("tcp://127.0.0.1:10200", description="Address to listen on: tcp://HOST:PORT or unix://PATH.")
    zeroconf: str = Field("", description="Name to announce the server by in the local network; empty: not announced.")
    max_loaded: int | None = Field(None, ge=1, le=1000, description="Most models in memory at a time.")
    memory_mb: int = Field(0, ge=0, description="Most memory of the server and its workers in MiB; 0: any.")
    preload: bool = Field(False, description="Load the models before the first request.")
    voices: dict[str, str] = Field(default_factory=dict, description="Voices that other names mean, by name.")
    max_connections: int = Field(128, ge=1, le=10_000, description="Most connections; idle ones make room for new.")
    max_requests: int = Field(64, ge=1, le=100_000, description="Most texts that are spoken or wait, of all clients.")
    max_input_chars: int = Field(100_000, ge=1, description="Longest text of a request, in characters.")
    max_event_kb: int = Field(1024, ge=64, le=2**20, description="Longest event of a client, in KiB.")
    send_timeout_s: float = Field(30.0, gt=0, le=3600, description="Longest wait for a client to take audio.")
    text_timeout_s: float = Field(300.0, gt=0, le=86_400, description="Longest wait for the next part of a text.")
    drain_s: float = Field(30.0, ge=0, le=3600, description="Longest wait for running requests at the end, in seconds.")


class Address(NamedTuple):
    """What a URI says.

    Attributes:
        host: Name or address; empty for a Unix socket.
        port: Of TCP; 0: any free one.
        path: Of a Unix socket; empty for TCP.
    """

    host: str
    port: int
    path: str

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the address."""
        if self.path or self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_uri(uri: str) -> Address:
    """Return the address that a URI names.

    Raises:
        SettingsError: It is none of those that the server listens on.
    """
    fix = "write tcp://HOST:PORT, such as tcp://0.0.0.0:10200, or unix://PATH"
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"{uri!r:.100} is no address: {error}", who="realtts wyoming, uri", fix=fix) from None
    path = parts.netloc + parts.path
    if parts.scheme == "unix" and path.strip("/"):
        return Address("", 0, path)
    if parts.scheme == "tcp" and host and port is not None and parts.path in {"", "/"} and not parts.username:
        return Address(host, port, "")
    raise SettingsError(f"{uri!r:.100} cannot be listened on", who="realtts wyoming, uri", fix=fix)


def resolve_config(overrides: Mapping[str, Any], *, environ: Mapping[str, str] | None = None) -> WyomingConfig:
    """Merge the command line, the environment and ``realtts.toml``; the first wins.

    Args:
        overrides: From the command line; None means not given.
        environ: Environment to read; default: ``os.environ``.

    Raises:
        SettingsError: An unknown name or a wrong value; says where it stands. Or an address that cannot be listened on,
            or cannot be announced.
    """
    config = resolve(WyomingConfig, "wyoming", overrides, environ=environ)
    address = parse_uri(config.uri)
    if config.zeroconf and address.is_local:
        raise SettingsError(
            f"the server is to be announced, but only this machine reaches {config.uri}",
            who="realtts wyoming",
            fix="listen where others reach it, such as --uri tcp://0.0.0.0:10200, or leave out --zeroconf",
        )
    return config
