"""The Ray Serve application: a deployment for each provider, and a router before them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ray import serve
from ray.serve.config import AutoscalingConfig

from realtts import RealProvider
from realtts.documents import reason_of
from realtts.errors import RealTTSError, SettingsError, closest
from realtts_ray.config import ClusterConfig, ReplicaConfig, read_config
from realtts_ray.replica import SpeechReplica
from realtts_ray.router import Router

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ray.serve import Application

    from realtts import ProviderSpec

__all__ = ["app", "build"]

_ROWS = 8
"""Of a provider that is not installed where the application is built."""

_MOST_FORWARDED = 10_000
"""Requests that pass a router at a time: it only hands on, and what is too much is refused by the providers' queues."""


def app(args: dict[str, Any]) -> Application:
    """Make the application from the arguments of ``serve run realtts_ray:app NAME=VALUE ...`` or of a YAML file.

    Args:
        args: See `realtts_ray.config.read_config`.

    Raises:
        SettingsError: A name is unknown or a value wrong.
    """
    return build(read_config(args))


def build(config: ClusterConfig | Mapping[str, Any], specs: Sequence[ProviderSpec] = ()) -> Application:
    """Make the application; `ray.serve.run` starts it.

    Args:
        config: Which providers, with what, how often; or its fields.
        specs: Providers that are not installed, or are to be served in another form.

    Raises:
        SettingsError: A name is unknown or a value wrong.
    """
    config = config if isinstance(config, ClusterConfig) else read_config(config)
    own = {spec.name: spec for spec in specs}
    replicas = {name: _replicas(name, each, config, own.get(name)) for name, each in config.providers.items()}
    # The arguments of a deployment have to be plain, so that replicas without this package's version can read them.
    longest_s = max(each.drain_s for each in config.providers.values())
    router = serve.deployment(
        name="router",
        num_replicas=config.routers,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=_MOST_FORWARDED,
        graceful_shutdown_timeout_s=longest_s,
    )(serve.ingress()(Router))
    bound: Application = router.bind(replicas, config.model_dump(mode="json"))
    return bound


def _replicas(name: str, own: ReplicaConfig, config: ClusterConfig, spec: ProviderSpec | None) -> Application:
    """Return the deployment of a provider."""
    rows = own.rows or _rows(spec or name, own)
    options: dict[str, Any] = {"num_cpus": own.num_cpus, "num_gpus": own.num_gpus}
    if own.runtime_env:
        options["runtime_env"] = own.runtime_env
    deployment = serve.deployment(
        name=name,
        ray_actor_options=options,
        # One more than it speaks: the next one is there when a place gets free.
        max_ongoing_requests=rows + 1,
        max_queued_requests=own.max_queued if own.max_queued is not None else rows * own.max_replicas,
        health_check_period_s=5,
        # When the load falls Serve stops replicas without a look at what they speak, and kills them after this time.
        graceful_shutdown_timeout_s=own.drain_s,
        **_scale(name, own, rows),
    )(SpeechReplica)
    aliases = {alias: target for alias, target in config.aliases.items() if target == name}
    http = {**config.http, "aliases": aliases}
    bound: Application = deployment.bind(name, own.model, own.settings, http, spec)
    return bound


def _scale(name: str, own: ReplicaConfig, rows: int) -> dict[str, Any]:
    if own.min_replicas == own.max_replicas:
        return {"num_replicas": own.max_replicas}
    scale = {"min_replicas": own.min_replicas, "max_replicas": own.max_replicas, "target_ongoing_requests": rows}
    scale |= own.autoscaling
    who, fix = f"providers.{name}.autoscaling", "see autoscaling_config in Ray Serve's reference"
    unknown = next((each for each in scale if each not in AutoscalingConfig.model_fields), None)
    if unknown is not None:
        near = closest(unknown, AutoscalingConfig.model_fields)
        raise SettingsError(f"Serve has no {unknown!r:.80} there{near}", who=who, fix=fix)
    try:
        AutoscalingConfig(**scale)
    except ValueError as error:  # pydantic's are of this kind
        raise SettingsError(f"Serve does not take it: {reason_of(error)}", who=who, fix=fix) from None
    return {"autoscaling_config": scale}


def _rows(provider: str | ProviderSpec, own: ReplicaConfig) -> int:
    """Return how many requests a provider speaks at a time."""
    with contextlib.suppress(RealTTSError), RealProvider(provider, model=own.model, **own.settings) as tts:
        return min(tts.spec.batch_size, tts.settings.max_batch or tts.spec.batch_size)
    return _ROWS
