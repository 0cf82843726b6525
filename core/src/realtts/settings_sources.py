"""Where settings come from, and their precedence.

Keyword, then environment, then ``realtts.toml`` (in the working folder, then in the user's configuration folder), then
what the hardware suggests (the value ``"auto"``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from realtts.documents import DocumentError, read_toml
from realtts.errors import SettingsError
from realtts.folders import cache_folder, config_files, data_folder
from realtts.settings import Layers, Settings, unknown_setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["cache_dir", "data_dir", "packed_dir", "resolve_settings"]


class _Legacy(NamedTuple):
    """An environment variable of one of the documents that the project grew from."""

    field: str
    provider: str | None = None
    invert: bool = False
    off_too: tuple[str, ...] = ()  # fields that switching it off switches off as well


_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

_LEGACY: dict[str, _Legacy] = {
    "DISABLE_OPTIMIZATION": _Legacy("optimize", invert=True),
    "ENABLE_TORCH_COMPILE": _Legacy("compile"),
    "ENABLE_CUDNN_BENCHMARK": _Legacy("cudnn_benchmark"),
    "TORCH_MATMUL_PRECISION": _Legacy("matmul_precision"),
    "TORCH_ALLOW_TF32_OVERRIDE": _Legacy("tf32"),
    # Those of one provider come last, because they win over the general ones.
    "CHATTERBOX_DTYPE": _Legacy("dtype", "chatterbox"),
    "CHATTERBOX_COMPILATION": _Legacy("compile", "chatterbox", off_too=("cuda_graphs",)),  # its document means both
    "CHATTERBOX_CPU_OFFLOAD": _Legacy("cpu_offload", "chatterbox"),
}
_PREFIX = "REALTTS_"
_NOT_FIELDS = {
    "REALTTS_CONFIG",  # names the file itself
    "REALTTS_NATIVE_ISA",  # read by realtts-native, like the next one
    "REALTTS_NATIVE_THREADS",
}
_SERVERS = ("serve", "wyoming")
"""Tables and variables of these are the servers' own (`realtts.serving.configuration`), which check them."""

_SERVER_PREFIXES = tuple(f"{_PREFIX}{name.upper()}_" for name in _SERVERS)


class _Value(NamedTuple):
    """A field's value in one layer."""

    field: str
    value: Any
    source: str


def resolve_settings(
    provider: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> Layers:
    """Merge keyword, environment and file values into one `Settings`.

    Args:
        provider: Provider whose own table ``[providers.NAME]`` and variables apply.
        overrides: Keyword values; None means not given.
        settings: A ready object; only the fields that were set in it count, below ``overrides``.
        environ: Environment to read, default ``os.environ``.

    Raises:
        SettingsError: An unknown name or a wrong value; says where it stands.
    """
    if not isinstance(settings, (Settings, type(None))):
        raise SettingsError(f"settings is {type(settings).__name__}", fix="give a realtts.Settings, or keywords")
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for field, value, source in _all_values(provider, overrides or {}, settings, environ):
        if value is None:
            continue
        if field not in Settings.model_fields:
            raise unknown_setting(field, source)
        values[field], sources[field] = value, source
    return Layers(Settings.of(values, sources), sources)


def data_dir(settings: Settings | None = None) -> Path:
    """Return the folder that keeps saved voices, environments and records of downloads.

    Args:
        settings: Says where it is; default: environment and file.

    Raises:
        SettingsError: The path cannot be one, or a setting is wrong.
    """
    return data_folder((settings or resolve_settings().settings).data_dir)


def cache_dir(settings: Settings | None = None) -> Path:
    """Return the folder for what can be made again; as `data_dir`."""
    return cache_folder((settings or resolve_settings().settings).data_dir)


def packed_dir(settings: Settings | None = None) -> Path:
    """Return the folder for packed weights; as `cache_dir`."""
    return cache_dir(settings) / "packed"


def _all_values(
    provider: str | None, overrides: Mapping[str, Any], settings: Settings | None, environ: Mapping[str, str]
) -> Iterator[_Value]:
    """Yield the values of all layers, weakest first."""
    for path in config_files(environ):
        yield from _from_file(path, provider)
    yield from _from_legacy(environ, provider)
    for name, text in environ.items():
        if name.startswith(_SERVER_PREFIXES):
            continue
        if name.startswith(_PREFIX) and name not in _NOT_FIELDS and text.strip():
            yield _Value(name.removeprefix(_PREFIX).lower(), text.strip(), f"environment ({name.upper()})")
    if settings is not None:
        for field in settings.model_fields_set:
            yield _Value(field, getattr(settings, field), "settings=")
    for field, value in overrides.items():
        yield _Value(field, value, f"keyword {field}=")


def _from_file(path: Path, provider: str | None) -> Iterator[_Value]:
    """Yield the values of the file's top level, then those of the provider's table."""
    try:
        content = read_toml(path)
    except DocumentError as error:
        raise SettingsError(f"cannot be read: {error}", who=str(path), fix="correct the file or remove it") from None
    tables = content.pop("providers", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise SettingsError("[providers] must hold one table per provider", who=str(path), fix="write [providers.NAME]")
    for name, table in tables.items():
        # A misspelt name is an error even in another provider's table: it would stay unseen until that one is used.
        for field in table:
            if field not in Settings.model_fields:
                raise unknown_setting(field, f"{path} [providers.{name}]")
    for field, value in content.items():
        if field not in _SERVERS:
            yield _Value(field, value, str(path))
    for field, value in tables.get(provider, {}).items():
        yield _Value(field, value, f"{path} [providers.{provider}]")


def _from_legacy(environ: Mapping[str, str], provider: str | None) -> Iterator[_Value]:
    for name, legacy in _LEGACY.items():
        text = environ.get(name, "").strip()
        if not text or legacy.provider not in {None, provider}:
            continue
        truth = _TRUTH.get(text.lower())
        if legacy.invert and truth is None:
            raise SettingsError(f"is {text!r}", who=name, fix="write true or false")
        value = not truth if legacy.invert else text
        for field in (legacy.field, *(legacy.off_too if truth is False else ())):
            yield _Value(field, value, f"environment ({name})")
