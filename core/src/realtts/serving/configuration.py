"""Settings of a server: from its command line, the environment and a table of ``realtts.toml``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from realtts.documents import DocumentError, read_toml
from realtts.errors import SettingsError, closest
from realtts.folders import config_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ServerSettings", "name_pairs", "resolve"]

_Settings = TypeVar("_Settings", bound="ServerSettings")


class ServerSettings(BaseModel):
    """Base of the settings of a server. Immutable; unknown names are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _check_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number is meant; pydantic takes them for 1 and 0."""
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError("it is true or false")
        return value


def resolve(
    kind: type[_Settings], table: str, overrides: Mapping[str, Any], *, environ: Mapping[str, str] | None = None
) -> _Settings:
    """Merge the command line, the environment and ``realtts.toml``; the first wins.

    Args:
        kind: Class of the settings.
        table: Name of the table in ``realtts.toml`` and of the command; ``serve`` stands for ``[serve]``,
            ``REALTTS_SERVE_PORT`` and ``realtts serve``.
        overrides: From the command line; None means not given.
        environ: Environment to read; default: ``os.environ``.

    Raises:
        SettingsError: An unknown name or a wrong value; says where it stands.
    """
    environ = os.environ if environ is None else environ
    layers = _Layers(kind)
    for path in config_files(environ):
        layers.add(_from_file(path, table), f"{path} [{table}]")
    prefix = f"REALTTS_{table.upper()}_"
    for name, text in environ.items():
        if name.startswith(prefix) and text.strip():
            field = name.removeprefix(prefix).lower()
            layers.add({field: _parsed(kind, field, text.strip())}, f"environment ({name})")
    given = {name: value for name, value in overrides.items() if value is not None}
    layers.add(given, f"realtts {table}")
    checked: _Settings = layers.checked()
    return checked


def name_pairs(entries: list[str], option: str, who: str) -> dict[str, str]:
    """Return entries ``PROVIDER=MODEL`` of a command line as pairs.

    Raises:
        SettingsError: An entry has another form.
    """
    pairs = {}
    for entry in entries:
        name, mark, model = entry.partition("=")
        if not (name and mark and model):
            raise SettingsError(f"{option} is {entry!r:.100}", who=who, fix="write PROVIDER=MODEL")
        pairs[name] = model
    return pairs


class _Layers:
    """Values by name, each with where it comes from."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind
        self._values: dict[str, Any] = {}
        self._sources: dict[str, str] = {}

    def add(self, values: Mapping[str, Any], source: str) -> None:
        """Lay values over those that are there."""
        for name, value in values.items():
            if name not in self._kind.model_fields:
                fix = "see the server's reference for the names, or remove it"
                raise SettingsError(
                    f"unknown setting {name!r:.80}{closest(name, self._kind.model_fields)}", who=source, fix=fix
                )
            self._values[name], self._sources[name] = value, source

    def checked(self) -> Any:
        """Return the settings."""
        try:
            return self._kind(**self._values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            description = self._kind.model_fields[name].description or ""
            raise SettingsError(
                f"{name} is {self._values[name]!r:.100}: {first['msg'][:1].lower()}{first['msg'][1:]}",
                who=self._sources[name],
                fix=f"{name}: {description.rstrip('.')}",
            ) from None


def _from_file(path: Path, table: str) -> Mapping[str, Any]:
    try:
        values = read_toml(path).get(table, {})
    except DocumentError as error:
        raise SettingsError(f"cannot be read: {error}", who=str(path), fix="correct the file or remove it") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{table} must be a table", who=str(path), fix=f"write [{table}]")
    return values


def _parsed(kind: type[ServerSettings], field: str, text: str) -> Any:
    """Return an environment variable as the field has it: lists are separated by commas, tables are NAME=VALUE."""
    known = kind.model_fields.get(field)
    annotation = str(known.annotation) if known is not None else ""
    if annotation.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if annotation.startswith("dict"):
        pairs = [[side.strip() for side in part.split("=", 1)] for part in text.split(",") if part.strip()]
        if not all(len(pair) == 2 and all(pair) for pair in pairs):
            return text  # which is no table
        return dict(pairs)
    return text
