"""The dictionary behind `get_provider_status`: what runs, how, and why not faster."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts import registry
from realtts.memory import memory_report

if TYPE_CHECKING:
    from realtts.climbing import AnyLadder, AnyRung
    from realtts.engine import Engine
    from realtts.lifecycle import Ladder
    from realtts.spec import Checkpoint, ProviderSpec

__all__ = ["build_status", "local_facts", "versions"]


def build_status(spec: ProviderSpec, ladder: AnyLadder, engine: Engine) -> dict[str, Any]:
    """A snapshot; loads nothing and waits for nothing."""
    live = ladder.live  # read once: the engine's thread may replace it
    queue = engine.counts()
    state = "closed" if engine.closed else "generating" if queue["speaking"] and live else ladder.state
    variant = live.context.variant if live else None
    return {
        "provider": spec.name,
        "state": state,
        "variant": variant,
        "rung": live.context.rung.name if live and live.context.rung else None,
        "optimization_enabled": variant == "optimized",
        "optimization_details": {**_details(live), **(ladder.details if live else {})},
        "attempts": [attempt.as_dict() for attempt in ladder.attempts],
        "checkpoint": _checkpoint(ladder.checkpoint),
        "timings": dict(live.timings) if live else {},
        "queue": queue,
        **ladder.facts(),
        "settings": ladder.settings.model_dump(mode="json"),
    }


def local_facts(ladder: Ladder) -> dict[str, Any]:
    """What belongs to the process, when the model is in this one."""
    live = ladder.live
    return {
        "versions": versions(ladder.spec),
        "memory": memory_report(live.context.device if live else "cpu"),
        "cache": ladder.voice_cache.stats(),
        "isolation": "in-process",
        "worker": None,
    }


def _details(live: AnyRung | None) -> dict[str, Any]:
    """The settings of the live rung that decide speed; None for all while nothing is loaded."""
    if live is None:
        names = ("device", "dtype", "compile", "cuda_graphs", "attention", "quantization", "offload")
        return dict.fromkeys(names)
    context, settings = live.context, live.context.settings
    plain = context.variant == "plain"
    return {
        "device": context.device,
        "dtype": context.dtype,
        "compile": False if plain else settings.compile,
        "cuda_graphs": False if plain else settings.cuda_graphs,
        "attention": settings.attention,
        "quantization": "none" if plain else settings.quantization,
        "offload": False if plain else settings.cpu_offload,
    }


def _checkpoint(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    if checkpoint is None:
        return None
    return {
        "name": checkpoint.name,
        "source": checkpoint.source,
        "revision": checkpoint.revision,
        "path": str(checkpoint.path) if checkpoint.path is not None else None,
        "licence": checkpoint.licence,
    }


def versions(spec: ProviderSpec) -> dict[str, str | None]:
    """Versions of Python and of the distributions that matter, as this process has them."""
    distribution, version = registry.distribution_of(spec.name)
    found: dict[str, str | None] = {
        "python": platform.python_version(),
        "realtts": _version("realtts"),
        "numpy": _version("numpy"),
    }
    if distribution:
        found[distribution] = version
    if spec.torch:
        torch = sys.modules.get("torch")
        found["torch"] = str(torch.__version__) if torch is not None else _version("torch")
    return found


def _version(distribution: str) -> str | None:
    try:
        return importlib_metadata.version(distribution)
    except importlib_metadata.PackageNotFoundError:
        return None
