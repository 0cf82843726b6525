"""How the models are spread over a cluster: frozen objects from the command line of ``serve run`` or from YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from realtts.errors import SettingsError, closest
from realtts_http import ServeConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ClusterConfig", "ReplicaConfig", "read_config"]

_SETTING = "settings."
_OWN = (
    "host",
    "port",
    "providers",
    "models",
    "aliases",
    "max_loaded",
    "memory_mb",
    "preload",
    "max_requests",
    "drain_s",
)
"""Fields of the HTTP server's configuration that Serve, or this package, decides."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ReplicaConfig(_Frozen):
    """How one provider is served: what each of its replicas has, and how many there are."""

    model: str | None = Field(None, description="Checkpoint name, hub id or folder.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Further settings of the provider, by name.")
    num_gpus: float = Field(0.0, ge=0, description="GPUs of each replica; 0.5: two replicas share one.")
    num_cpus: float = Field(1.0, ge=0, description="CPU cores of each replica.")
    min_replicas: int = Field(1, ge=0, le=10_000, description="Fewest replicas.")
    max_replicas: int = Field(1, ge=1, le=10_000, description="Most replicas; they are started by the load.")
    rows: int | None = Field(
        None, ge=1, le=10_000, description="Requests that a replica is given at a time; None: what the provider speaks."
    )
    max_queued: int | None = Field(
        None, ge=1, le=1_000_000, description="Requests that wait for a replica; None: as many as all of them speak."
    )
    drain_s: float = Field(
        300.0, ge=0, le=86_400, description="Longest wait for what a replica speaks when it is stopped, in seconds."
    )
    autoscaling: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of Serve's autoscaling_config, such as downscale_delay_s."
    )
    runtime_env: dict[str, Any] = Field(default_factory=dict, description="Ray runtime environment of the replicas.")

    @model_validator(mode="after")
    def _ordered(self) -> ReplicaConfig:
        if self.min_replicas > self.max_replicas:
            message = f"min_replicas is {self.min_replicas}, more than max_replicas, {self.max_replicas}"
            raise ValueError(message)
        return self


class ClusterConfig(_Frozen):
    """Settings of the whole application. Immutable; unknown names are rejected.

    Raises:
        SettingsError: From `read_config`: an unknown name or a wrong value.
    """

    providers: dict[str, ReplicaConfig] = Field(min_length=1, description="Providers by name, the default one first.")
    aliases: dict[str, str] = Field(default_factory=dict, description="Further names of providers, by name.")
    http: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the HTTP server, such as api_key_file and allowed_hosts."
    )
    routers: int = Field(1, ge=1, le=1000, description="Replicas of the router, which all requests pass.")
    sticky_voices: bool = Field(
        False, description="Send requests with one cloned voice to a replica that had it before, where one has room."
    )

    @field_validator("http")
    @classmethod
    def _of_the_server(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if name in _OWN or name not in ServeConfig.model_fields:
                message = f"{name!r:.80} is no setting of the HTTP server here{closest(name, _http_fields())}"
                raise ValueError(message)
        ServeConfig(**value)
        return value

    @model_validator(mode="after")
    def _aliases_mean_something(self) -> ClusterConfig:
        for alias, name in self.aliases.items():
            if name not in self.providers:
                message = f"the alias {alias!r:.80} means {name!r:.80}, which is not served"
                raise ValueError(message)
        return self

    @property
    def default(self) -> str:
        """Name of the provider that requests mean which name none."""
        return next(iter(self.providers))


def read_config(arguments: Mapping[str, Any]) -> ClusterConfig:
    """Read the arguments of ``serve run`` or of a YAML file.

    Args:
        arguments: Fields of `ClusterConfig`; or, for one provider, ``provider`` and the fields of `ReplicaConfig`,
            where ``settings.NAME`` is one setting, beside those of `ClusterConfig`.

    Raises:
        SettingsError: A name is unknown or a value wrong.
    """
    values = dict(arguments)
    if "providers" not in values:
        values = _with_one_provider(values)
    try:
        return ClusterConfig(**values)
    except ValidationError as error:
        raise _settings_error(error) from None
    except TypeError as error:
        raise SettingsError(f"the configuration is no table: {error}", who="realtts_ray", fix="give names") from None


def _with_one_provider(values: dict[str, Any]) -> dict[str, Any]:
    provider = str(values.pop("provider", "") or "")
    if not provider:
        raise SettingsError(
            "no provider is named", who="realtts_ray", fix="give provider=NAME, such as provider=espeak"
        )
    own: dict[str, Any] = {name: values.pop(name) for name in ReplicaConfig.model_fields if name in values}
    for name in [name for name in values if name.startswith(_SETTING)]:
        own.setdefault("settings", {})
        own["settings"] = {**own["settings"], name.removeprefix(_SETTING): values.pop(name)}
    return {**values, "providers": {provider: own}}


def _settings_error(error: ValidationError) -> SettingsError:
    first = error.errors()[0]
    names = [str(part) for part in first["loc"]]
    where = ".".join(names) or "realtts_ray"
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        fields = {**ClusterConfig.model_fields, **ReplicaConfig.model_fields}
        message = f"there is no such setting{closest(names[-1], fields)}"
    return SettingsError(message, who=where, fix="see the reference of realtts-ray for the names and their values")


def _http_fields() -> list[str]:
    return [name for name in ServeConfig.model_fields if name not in _OWN]
