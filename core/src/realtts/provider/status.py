"""The dictionary behind `get_provider_status`: what runs, how, and why not faster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.ladder.facts import RungFacts
    from realtts.ladder.protocols import AnyLadder
    from realtts.provider.engine import Engine

__all__ = ["build_status"]


def build_status(spec: ProviderSpec, ladder: AnyLadder, engine: Engine) -> dict[str, Any]:
    """A snapshot; loads nothing and waits for nothing."""
    live = ladder.live  # read once: the engine's thread may replace it
    queue = engine.counts()
    state = "closed" if engine.closed else "generating" if queue["speaking"] and live else ladder.state
    facts = live.facts if live else None
    variant = facts.variant if facts else None
    return {
        "provider": spec.name,
        "state": state,
        "variant": variant,
        "rung": facts.rung if facts else None,
        "optimization_enabled": variant == "optimized",
        "optimization_details": {**_details(facts), **(ladder.details if live else {})},
        "attempts": [attempt.as_dict() for attempt in ladder.attempts],
        "checkpoint": _checkpoint(ladder.checkpoint),
        "timings": dict(live.timings) if live else {},
        "queue": queue,
        **ladder.facts(),
        "settings": ladder.settings.model_dump(mode="json"),
    }


def _details(facts: RungFacts | None) -> dict[str, Any]:
    """The settings of the live rung that decide speed; None for all while nothing is loaded."""
    if facts is None:
        names = ("device", "dtype", "compile", "cuda_graphs", "attention", "quantization", "offload")
        return dict.fromkeys(names)
    settings, plain = facts.settings, facts.variant == "plain"
    return {
        "device": facts.device,
        "dtype": facts.dtype,
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
