"""How the server runs: one frozen object from the command line, the environment and ``realtts.toml``."""

from __future__ import annotations

import ipaddress
from pathlib import Path  # noqa: TC003 - pydantic reads the fields' types
from typing import TYPE_CHECKING, Any

from pydantic import Field

from realtts.errors import SettingsError
from realtts.serving.configuration import ServerSettings, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OPENAI_MODELS", "OPENAI_VOICES", "ServeConfig", "resolve_config"]

OPENAI_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15")
"""Names that clients send by default; here they mean the first provider."""

OPENAI_VOICES = (
    *("alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin"),
    "cedar",
)
"""Voices that clients send by default; here they mean a provider's default voice, where it has none of that name."""


class ServeConfig(ServerSettings):
    """Settings of the server. Immutable; unknown names are rejected.

    In ``realtts.toml`` they stand in the table ``[serve]``, in the environment as ``REALTTS_SERVE_HOST`` and so on.

    Raises:
        SettingsError: From `resolve_config`: an unknown name or a wrong value.
    """

    providers: tuple[str, ...] = Field((), description="Providers to serve, the default one first.")
    models: dict[str, str] = Field(default_factory=dict, description="Checkpoint, hub id or folder by provider.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0: any free one.")
    api_key_file: Path | None = Field(None, description="File with one accepted API key per line.")
    no_key: bool = Field(False, description="Let everybody in who reaches the address, without a key.")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Names in the Host header that are accepted beside this machine's; '*' accepts all."
    )
    cors_origins: tuple[str, ...] = Field((), description="Origins whose pages may call the server; '*': all.")
    max_loaded: int | None = Field(None, ge=1, le=1000, description="Most models in memory at a time.")
    memory_mb: int = Field(0, ge=0, description="Most memory of the server and its workers in MiB; 0: any.")
    preload: bool = Field(False, description="Load the models before the first request.")
    aliases: dict[str, str] = Field(default_factory=dict, description="Further names of models, by name.")
    voices: dict[str, str] = Field(default_factory=dict, description="Voices that other names mean, by name.")
    max_requests: int = Field(256, ge=1, le=100_000, description="Most requests that are answered at a time.")
    max_input_chars: int = Field(100_000, ge=1, description="Longest text of a request, in characters.")
    max_body_mb: float = Field(32.0, gt=0, le=1024, description="Longest body of a request, in MiB.")
    max_reference_s: float = Field(120.0, gt=0, le=600, description="Longest recording to clone, in seconds.")
    max_batch_inputs: int = Field(256, ge=1, le=10_000, description="Most inputs of a batch request.")
    drain_s: float = Field(30.0, ge=0, le=3600, description="Longest wait for running requests at the end, in seconds.")
    body_timeout_s: float = Field(30.0, gt=0, le=3600, description="Longest wait for a slow body, in seconds.")
    studio: bool = Field(True, description="Serve the studio page at /.")
    access_log: bool = Field(True, description="Write a line of JSON for every request to standard output.")

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the address."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def resolve_config(overrides: Mapping[str, Any], *, environ: Mapping[str, str] | None = None) -> ServeConfig:
    """Merge the command line, the environment and ``realtts.toml``; the first wins.

    Args:
        overrides: From the command line; None means not given.
        environ: Environment to read; default: ``os.environ``.

    Raises:
        SettingsError: An unknown name or a wrong value; says where it stands. Or an address that others reach,
            without a key.
    """
    config = resolve(ServeConfig, "serve", overrides, environ=environ)
    if not (config.is_local or config.api_key_file or config.no_key):
        raise SettingsError(
            f"others reach {config.host}, and no API key is asked for",
            who="realtts serve",
            fix="give --api-key-file FILE, or --no-key where everybody may speak",
        )
    return config
