"""How the server runs: one frozen object from the command line, the environment and ``realtts.toml``."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path  # noqa: TC003 - pydantic reads the fields' types
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from realtts.documents import DocumentError, read_toml
from realtts.errors import SettingsError, closest
from realtts.folders import config_files

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

_PREFIX = "REALTTS_SERVE_"


class ServeConfig(BaseModel):
    """Settings of the server. Immutable; unknown names are rejected.

    In ``realtts.toml`` they stand in the table ``[serve]``, in the environment as ``REALTTS_SERVE_HOST`` and so on.

    Raises:
        SettingsError: From `resolve_config`: an unknown name or a wrong value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
    body_timeout_s: float = Field(30.0, gt=0, le=3600, description="Longest wait for the body of a request.")
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
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for path in config_files(environ):
        _add(values, sources, _from_file(path), f"{path} [serve]")
    for name, text in environ.items():
        if name.startswith(_PREFIX) and text.strip():
            field = name.removeprefix(_PREFIX).lower()
            _add(values, sources, {field: _parsed(field, text.strip())}, f"environment ({name})")
    _add(values, sources, {name: value for name, value in overrides.items() if value is not None}, "realtts serve")
    config = _checked(values, sources)
    if not (config.is_local or config.api_key_file or config.no_key):
        raise SettingsError(
            f"others reach {config.host}, and no API key is asked for",
            who="realtts serve",
            fix="give --api-key-file FILE, or --no-key where everybody may speak",
        )
    return config


def _add(values: dict[str, Any], sources: dict[str, str], more: Mapping[str, Any], source: str) -> None:
    for name, value in more.items():
        if name not in ServeConfig.model_fields:
            fix = "see the server's reference for the names, or remove it"
            raise SettingsError(
                f"unknown setting {name!r:.80}{closest(name, ServeConfig.model_fields)}", who=source, fix=fix
            )
        values[name], sources[name] = value, source


def _from_file(path: Path) -> Mapping[str, Any]:
    try:
        table = read_toml(path).get("serve", {})
    except DocumentError as error:
        raise SettingsError(f"cannot be read: {error}", who=str(path), fix="correct the file or remove it") from None
    if not isinstance(table, dict):
        raise SettingsError("serve must be a table", who=str(path), fix="write [serve]")
    return table


def _parsed(field: str, text: str) -> Any:
    """Return an environment variable as the field has it: lists are separated by commas, tables are NAME=VALUE."""
    known = ServeConfig.model_fields.get(field)
    kind = str(known.annotation) if known is not None else ""
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind.startswith("dict"):
        pairs = (part.partition("=") for part in text.split(","))
        return {name.strip(): value.strip() for name, _, value in pairs}
    return text


def _checked(values: Mapping[str, Any], sources: Mapping[str, str]) -> ServeConfig:
    try:
        return ServeConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        description = ServeConfig.model_fields[name].description or ""
        raise SettingsError(
            f"{name} is {values[name]!r:.100}: {first['msg'][:1].lower()}{first['msg'][1:]}",
            who=sources[name],
            fix=f"{name}: {description.rstrip('.')}",
        ) from None
