"""Settings: one frozen, typed object. `realtts.settings_sources` says where its values come from."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads the fields' types
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from realtts.arguments import REQUEST, counterpart, place_of
from realtts.errors import SettingsError, closest
from realtts.exception_text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Layers", "Settings", "inexact_setting", "plain_dtype", "unknown_setting"]

LONGEST_S = 30 * 86_400.0
"""Thirty days: what every platform's timers can still count."""

Toggle = bool | Literal["auto"]

_EXACT = MappingProxyType({"dtype": "float32", "quantization": "none", "tf32": False})
"""What ``precision_policy="exact"`` means for other fields."""

_BESIDE_EXACT = MappingProxyType(
    {
        "dtype": ("float32", "auto"),
        "quantization": ("none", "auto"),
        "tf32": (False,),
        "matmul_precision": ("highest",),
    }
)
"""What may be named beside it."""

_DTYPE_ALIASES = {
    "fp32": "float32",
    "float": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "half": "float16",
}


def plain_dtype(value: Any) -> Any:
    """Accept ``torch.bfloat16`` and the usual short names, without importing torch."""
    try:
        name = str(value).removeprefix("torch.").lower()
    except Exception:  # of whatever was given instead
        return value
    return _DTYPE_ALIASES.get(name, name)


def _names(value: Any) -> Any:
    """Accept names in one string, as the environment has them: ``"hibari, espeak"``."""
    return tuple(name for name in map(str.strip, value.split(",")) if name) if isinstance(value, str) else value


class Settings(BaseModel):
    """Settings of a provider. Immutable; unknown names are rejected.

    Fields that say ``"auto"`` are decided by the machine and the provider when it is loaded.

    Raises:
        SettingsError: An unknown name or a wrong value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    provider: str | None = Field(None, description="Provider used when none is named.")
    language: str | None = Field(
        None,
        description="Tag or name of the language of texts whose call names none; it chooses embedded voices too.",
    )
    fallback: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        (),
        description="Providers that speak when this one has no rung left, never with a voice, options or strict.",
    )
    normalize: Literal["auto", "off"] | None = Field(
        None, description="Put numbers, dates and signs into words; none given: as the provider has it."
    )
    recognizer: str | None = Field(
        None,
        description="Who listens for check_words, timestamps and 'realtts check': a folder, hub id or package; none"
        " given: an installed package.",
    )
    model: str | None = Field(None, description="Checkpoint name, hub id or local folder.")
    configuration: str | None = Field(
        None, description="What the weights given by model are of, where their files do not tell it."
    )
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,3})?)$", description="auto, cpu, mps, cuda or cuda:N."
    )
    dtype: Annotated[Literal["auto", "float32", "bfloat16", "float16"], BeforeValidator(plain_dtype)] = Field(
        "auto",
        description="Compute type of the optimized variant; plain always runs in float32. A type that is named holds"
        " for weights, cache and activations: nothing is quantized by itself then, and float32 goes without TF32.",
    )
    quantization: Literal["auto", "none", "int8", "fp8", "int4"] = Field(
        "auto", description="Weight quantization; auto: by machine and provider, none where dtype is named."
    )
    precision_policy: Literal["exact", "balanced", "fast"] = Field(
        "balanced",
        description="What dtype and quantization are where they are not named. exact: float32 weights, cache and"
        " activations, nothing quantized, no TF32; balanced: as the machine suggests, within the error of int8; fast:"
        " int4 for language models and int8 activations for flows too.",
    )
    native: Toggle = Field(
        "auto",
        description="Use the compiled kernels of realtts-native for quantized weights on the CPU; auto: where they are"
        " installed and faster.",
    )
    optimize: bool = Field(True, description="False goes straight to the plain variant.")
    compile: Toggle = Field("auto", description="Use fused kernels and torch.compile.")
    compile_mode: Literal["default", "reduce-overhead", "max-autotune"] = Field(
        "reduce-overhead", description="Mode of torch.compile."
    )
    cuda_graphs: Toggle = Field("auto", description="Capture decode steps as CUDA graphs.")
    attention: Literal["auto", "flash_attention_2", "flash", "efficient", "math", "sdpa", "eager"] = Field(
        "auto", description="Attention kernels to prefer."
    )
    cpu_offload: bool = Field(False, description="Keep weights in host memory and move them when needed.")
    buffer_pool: bool = Field(True, description="Reuse tensors through a pool of buffers.")
    tf32: bool = Field(
        True,
        description="Allow TF32 in matrix products and convolutions (optimized only); with dtype='float32' only where"
        " it, or matmul_precision, is named.",
    )
    cudnn_benchmark: bool = Field(
        True, description="Let cuDNN time its convolution algorithms while a graph is captured (optimized only)."
    )
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
    max_batch: int | None = Field(
        None, ge=1, le=4096, description="Most rows spoken at a time, where the provider can speak several."
    )
    queue_timeout_s: float = Field(600.0, gt=0, le=LONGEST_S, description="Longest wait for the turn, in seconds.")
    request_timeout_s: float = Field(
        0.0,
        ge=0,
        le=LONGEST_S,
        description="Longest work on one request, in seconds from when it begins to run, loading included; 0: any.",
    )
    stream_buffer: int = Field(8, ge=1, le=10_000, description="Chunks generated ahead of a stream's reader.")
    stream_lookahead: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Characters to which sentences of a text that is still being written are joined; 0: each is spoken"
        " at once.",
    )
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
    weight_cache_disk_mb: int = Field(
        4096, ge=0, description="Bound of the packed weights kept on disk for the next start, in MiB; 0: none."
    )
    voice_urls: bool = Field(
        False, description="Fetch a voice that is an https:// address, within limits; False refuses it."
    )
    data_dir: Path | None = Field(None, description="Folder for saved voices and environments; default: per user.")

    @field_validator("*", mode="before")
    @classmethod
    def _check_truth(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number is meant; pydantic takes them for 1 and 0."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and annotation is not bool and bool not in get_args(annotation):
            raise ValueError("input should be no truth value")
        return value

    if not TYPE_CHECKING:  # type checkers shall see the fields

        def __init__(self, **values: Any) -> None:
            self._fill(values, {})

    @classmethod
    def of(cls, values: Mapping[str, Any], sources: Mapping[str, str]) -> Settings:
        """Make settings whose errors say where the wrong value came from.

        Args:
            values: By field.
            sources: Where they came from, by field.

        Raises:
            SettingsError: An unknown name or a wrong value.
        """
        settings = cls.__new__(cls)
        settings._fill(values, sources)
        return settings

    def _fill(self, values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        for name in values.keys() - Settings.model_fields.keys():
            raise unknown_setting(name, sources.get(name, "Settings"))
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            description = Settings.model_fields[name].description
            raise SettingsError(
                f"{name} is {shown(values[name], 100)}: {first['msg'][:1].lower()}{first['msg'][1:]}",
                who=sources.get(name, "Settings"),
                fix=f"{name}: {(description or '').rstrip('.')}",
            ) from None
        self._follow_policy(sources)

    def _follow_policy(self, sources: Mapping[str, str]) -> None:
        """Give the fields that nobody named what an exact policy means for them."""
        named = {name: getattr(self, name) for name in self.model_fields_set}
        contradiction = inexact_setting(named)
        if contradiction is not None:
            policy = "precision_policy"
            at = f" ({sources[policy]})" if policy in sources else ""
            raise SettingsError(
                f"{contradiction}={named[contradiction]!r} contradicts {policy}='exact'{at}",
                who=sources.get(contradiction, "Settings"),
                fix=f"leave {contradiction} out, or give {policy}='balanced' (REALTTS_PRECISION_POLICY=balanced)",
            )
        if self.precision_policy == "exact":
            for name, value in _EXACT.items():
                object.__setattr__(self, name, value)  # not named by anybody, so that a stronger layer may change it


def inexact_setting(values: Mapping[str, Any]) -> str | None:
    """Return the first of some named settings that an exact policy among them forbids; None: there is none.

    Args:
        values: By field, without those that nobody named.
    """
    if values.get("precision_policy") != "exact":
        return None
    named = {name: plain_dtype(value) if name == "dtype" else value for name, value in values.items()}
    return next((name for name, allowed in _BESIDE_EXACT.items() if named.get(name, allowed[0]) not in allowed), None)


class Layers(NamedTuple):
    """Resolved settings and, for each field that was set, where its value came from."""

    settings: Settings
    sources: dict[str, str]


def unknown_setting(name: str, source: str) -> SettingsError:
    """Make the error for a name that is no setting: it says where the name belongs, or names the nearest setting."""
    fields = Settings.model_fields
    ours = name if name in REQUEST else counterpart(name)
    if ours is not None:
        called = f", here it is {ours}=" if ours.isidentifier() and ours != name else ""
        return SettingsError(f"unknown setting {name!r}{called}", who=source, fix=place_of(ours, fields))
    return SettingsError(
        f"unknown setting {name!r:.80}{closest(name, fields)}",
        who=source,
        fix="see the settings reference for the names, or remove it",
    )
