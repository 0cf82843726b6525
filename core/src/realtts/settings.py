"""Settings: one frozen, typed object, and where its values come from.

Precedence: keyword, then environment, then ``realtts.toml`` (in the working folder, then in the user's configuration
folder), then what the hardware suggests (the value ``"auto"``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path  # noqa: TC003 - pydantic reads the fields' types
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from realtts.errors import SettingsError, closest
from realtts.folders import cache_folder, config_files, data_folder

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - the other branch on older Pythons
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Layers", "Settings", "resolve_settings"]

LONGEST_S = 30 * 86_400.0
"""Thirty days: what every platform's timers can still count."""

Toggle = bool | Literal["auto"]

_DTYPE_ALIASES = {
    "fp32": "float32",
    "float": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "half": "float16",
}


def _plain_dtype(value: Any) -> Any:
    """Accept ``torch.bfloat16`` and the usual short names, without importing torch."""
    name = str(value).removeprefix("torch.").lower()
    return _DTYPE_ALIASES.get(name, name)


class Settings(BaseModel):
    """How providers are run. Immutable; unknown names are rejected.

    Fields that say ``"auto"`` are decided by the machine and the provider when it is loaded.

    Raises:
        SettingsError: An unknown name or a wrong value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    provider: str | None = Field(None, description="Provider used when none is named.")
    model: str | None = Field(None, description="Checkpoint name, hub id or local folder.")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,3})?)$", description="auto, cpu, mps, cuda or cuda:N."
    )
    dtype: Annotated[Literal["auto", "float32", "bfloat16", "float16"], BeforeValidator(_plain_dtype)] = Field(
        "auto", description="Compute type of the optimized variant; plain always runs in float32."
    )
    quantization: Literal["auto", "none", "int8", "int4"] = Field("auto", description="Weight quantization.")
    optimize: bool = Field(True, description="False goes straight to the plain variant.")
    compile: Toggle = Field("auto", description="Use torch.compile.")
    compile_mode: Literal["default", "reduce-overhead", "max-autotune"] = Field(
        "reduce-overhead", description="Mode of torch.compile."
    )
    cuda_graphs: Toggle = Field("auto", description="Capture decode steps as CUDA graphs.")
    attention: Literal["auto", "flash_attention_2", "flash", "efficient", "math", "sdpa", "eager"] = Field(
        "auto", description="Attention kernels to prefer."
    )
    cpu_offload: bool = Field(False, description="Keep weights in host memory and move them when needed.")
    buffer_pool: bool = Field(True, description="Reuse tensors through a pool of buffers.")
    tf32: bool = Field(True, description="Allow TF32 in matrix products and convolutions (optimized only).")
    cudnn_benchmark: bool = Field(True, description="Let cuDNN time its convolution algorithms (optimized only).")
    matmul_precision: Literal["highest", "high", "medium"] = Field(
        "high", description="torch's float32 matmul precision (optimized only)."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field(
        "auto", description="Compute threads, from 1 to 1024; auto: physical cores."
    )
    strict: bool = Field(False, description="Raise instead of stepping down the ladder.")
    isolation: Literal["auto", "always", "never"] = Field("auto", description="Run in an isolated environment.")
    worker_deadline_s: float = Field(
        0.0, ge=0, le=LONGEST_S, description="Longest work of an isolated provider on one request, in seconds; 0: any."
    )
    worker_silence_s: float = Field(
        1800.0,
        ge=0,
        le=LONGEST_S,
        description="An isolated provider that gives no sign for this long while it works is ended; 0: never.",
    )
    worker_memory_mb: int = Field(0, ge=0, description="Most resident memory of an isolated provider, in MiB; 0: any.")
    queue_size: int = Field(64, ge=1, le=100_000, description="Most requests waiting for one model.")
    queue_timeout_s: float = Field(600.0, gt=0, le=LONGEST_S, description="Longest wait for the turn, in seconds.")
    stream_buffer: int = Field(8, ge=1, le=10_000, description="Chunks generated ahead of a stream's reader.")
    stream_stall_s: float = Field(60.0, gt=0, le=LONGEST_S, description="A stream not read for this long is ended.")
    idle_unload_s: float = Field(0.0, ge=0, le=LONGEST_S, description="Unload after this many idle seconds; 0: never.")
    max_text_chars: int = Field(200_000, ge=1, description="Longest text of one call, in characters.")
    retry_runaway: bool = Field(
        True, description="Speak a piece once more when it ran into its cap or ended too early."
    )
    force_tokens_per_char: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Decode exactly this many tokens per character of the text, whatever the end token says: for"
        " benchmarks with random weights.",
    )
    voice_cache_mb: int = Field(256, ge=0, description="Bound of the speaker conditioning kept in memory, in MiB.")
    voice_cache_disk_mb: int = Field(
        256, ge=0, description="Bound of the speaker conditioning kept on disk, in MiB; 0: none."
    )
    voice_urls: bool = Field(
        False, description="Fetch a voice that is an https:// address, within limits; False refuses it."
    )
    data_dir: Path | None = Field(None, description="Folder for saved voices and environments; default: per user.")

    if not TYPE_CHECKING:  # type checkers shall see the fields

        def __init__(self, **values: Any) -> None:
            _fill(self, values, {})


class Layers(NamedTuple):
    """Resolved settings and, for each field that was set, where its value came from."""

    settings: Settings
    sources: dict[str, str]


class _Legacy(NamedTuple):
    """An environment variable of one of the documents that the project grew from."""

    field: str
    provider: str | None = None
    invert: bool = False
    off_too: tuple[str, ...] = ()

    def fields(self, value: str) -> tuple[str, ...]:
        """All that it sets: switching it off may switch off more."""
        return (self.field, *self.off_too) if _TRUTH.get(value.strip().lower()) is False else (self.field,)


_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

_LEGACY: dict[str, _Legacy] = {
    "CHATTERBOX_DTYPE": _Legacy("dtype", "chatterbox"),
    "CHATTERBOX_COMPILATION": _Legacy("compile", "chatterbox", off_too=("cuda_graphs",)),  # its document means both
    "CHATTERBOX_CPU_OFFLOAD": _Legacy("cpu_offload", "chatterbox"),
    "DISABLE_OPTIMIZATION": _Legacy("optimize", invert=True),
    "ENABLE_TORCH_COMPILE": _Legacy("compile"),
    "ENABLE_CUDNN_BENCHMARK": _Legacy("cudnn_benchmark"),
    "TORCH_MATMUL_PRECISION": _Legacy("matmul_precision"),
}
_PREFIX = "REALTTS_"
_NOT_FIELDS = {"REALTTS_CONFIG"}  # names the file itself


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

    def lay(layer: Mapping[str, Any], source: Callable[[str], str]) -> None:
        for name, value in layer.items():
            if value is None:
                continue
            if name not in Settings.model_fields:
                raise _unknown(name, source(name))
            values[name], sources[name] = value, source(name)

    for path in config_files(environ):
        top, own = _read_toml(path, provider)
        lay(top, lambda _, p=path: str(p))  # type: ignore[misc]
        lay(own, lambda _, p=path: f"{p} [providers.{provider}]")  # type: ignore[misc]
    lay(_from_legacy(environ, provider), lambda name: f"environment ({_legacy_name(name, environ, provider)})")
    lay(_from_environment(environ), lambda name: f"environment ({_PREFIX}{name.upper()})")
    if settings is not None:
        lay({name: getattr(settings, name) for name in settings.model_fields_set}, lambda _: "settings=")
    lay(overrides or {}, lambda name: f"keyword {name}=")
    found = Settings.__new__(Settings)
    _fill(found, values, sources)
    return Layers(found, sources)


def data_dir(settings: Settings | None = None) -> Path:
    """The folder that keeps saved voices, environments and records of downloads.

    Args:
        settings: Says where it is; default: environment and file.

    Raises:
        SettingsError: The path cannot be one, or a setting is wrong.
    """
    return data_folder(_settled(settings).data_dir)


def cache_dir(settings: Settings | None = None) -> Path:
    """The folder for what can be made again; as `data_dir`."""
    return cache_folder(_settled(settings).data_dir)


def _settled(settings: Settings | None) -> Settings:
    return resolve_settings().settings if settings is None else settings


def _fill(settings: Settings, values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    """Check the values and put them into an empty object; an error says where the wrong one came from."""
    for name in values.keys() - Settings.model_fields.keys():
        raise _unknown(name, sources.get(name, "Settings"))
    try:
        BaseModel.__init__(settings, **values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        description = Settings.model_fields[name].description
        raise SettingsError(
            f"{name} is {values[name]!r}: {first['msg'][:1].lower()}{first['msg'][1:]}",
            who=sources.get(name, "Settings"),
            fix=f"{name}: {(description or '').rstrip('.')}",
        ) from None


def _unknown(name: str, source: str) -> SettingsError:
    return SettingsError(
        f"unknown setting {name!r}{closest(name, Settings.model_fields)}",
        who=source,
        fix="see the settings reference for the names, or remove it",
    )


def _read_toml(path: Path, provider: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The file's top level and the table of one provider."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", who=str(path), fix="correct the file or remove it") from None
    tables = content.pop("providers", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise SettingsError("[providers] must hold one table per provider", who=str(path), fix="write [providers.NAME]")
    for name, table in tables.items():
        # A misspelt name is an error even in another provider's table: it would stay unseen until that one is used.
        for field in table:
            if field not in Settings.model_fields:
                raise _unknown(field, f"{path} [providers.{name}]")
    return content, tables.get(provider, {})


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(_PREFIX).lower(): value.strip()
        for name, value in environ.items()
        if name.startswith(_PREFIX) and name not in _NOT_FIELDS and value.strip()
    }


def _from_legacy(environ: Mapping[str, str], provider: str | None) -> dict[str, Any]:
    """Values of the older variables; those of one provider win over the general ones."""
    found: dict[str, Any] = {}
    for name, legacy in sorted(_LEGACY.items(), key=lambda item: item[1].provider is not None):
        value = environ.get(name, "").strip()
        if value and legacy.provider in {None, provider}:
            found |= dict.fromkeys(legacy.fields(value), _inverted(name, value) if legacy.invert else value)
    return found


def _inverted(name: str, value: str) -> bool:
    if value.lower() not in _TRUTH:
        raise SettingsError(f"is {value!r}", who=name, fix="write true or false")
    return not _TRUTH[value.lower()]


def _legacy_name(field: str, environ: Mapping[str, str], provider: str | None) -> str:
    names = [
        name
        for name, legacy in _LEGACY.items()
        if field in legacy.fields(environ.get(name, "")) and environ.get(name) and legacy.provider in {None, provider}
    ]
    return max(names, key=lambda name: _LEGACY[name].provider is not None)
