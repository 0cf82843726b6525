"""The dictionary behind `get_provider_status`: what runs, how, and why not faster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from realtts.attempt import Attempt, State
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.ladder.facts import RungFacts
    from realtts.ladder.protocols import AnyLadder
    from realtts.provider.engine import Engine

__all__ = ["build_status", "state_of"]

_UNREPORTED = {"compile": False, "cuda_graphs": False, "attention": None, "quantization": "none", "offload": False}


def build_status(
    spec: ProviderSpec, ladder: AnyLadder, engine: Engine, crossing: Attempt | None = None
) -> dict[str, Any]:
    """Return a snapshot; loads nothing and waits for nothing.

    Args:
        spec: The provider.
        ladder: Its rungs.
        engine: Its queue.
        crossing: That another provider spoke instead; None: none had to.
    """
    live = ladder.live  # read once: the engine's thread may replace it
    queue = engine.counts()
    state = _state(ladder, engine, speaking=bool(queue["speaking"] and live))
    facts = live.facts if live else None
    variant = facts.variant if facts else None
    return {
        "provider": spec.name,
        "state": state,
        "variant": variant,
        "rung": facts.rung if facts else None,
        # Before a load nobody knows which one it will be.
        "optimization_enabled": variant == "optimized" if variant else None,
        "optimization_details": {**_details(facts), **(ladder.details if live else {})},
        "attempts": [attempt.as_dict() for attempt in (*ladder.attempts, *((crossing,) if crossing else ()))],
        "checkpoint": _checkpoint(ladder.checkpoint),
        "timings": dict(live.timings) if live else {},
        "queue": queue,
        **ladder.facts(),
        "settings": ladder.settings.model_dump(mode="json"),
    }


def state_of(ladder: AnyLadder, engine: Engine) -> State:
    """Return the state alone, as the status has it."""
    return _state(ladder, engine, speaking=bool(ladder.live and engine.counts()["speaking"]))


def _state(ladder: AnyLadder, engine: Engine, *, speaking: bool) -> State:
    return "closed" if engine.closed else "generating" if speaking else ladder.state


def _details(facts: RungFacts | None) -> dict[str, Any]:
    """Return what is certain of every loaded rung; None for all while nothing is loaded.

    Settings say what was asked for. What was done, such as compiling, only the plugin knows, and it reports that by the
    event ``optimization.details``; until it does, nothing of the kind was done.
    """
    if facts is None:
        return dict.fromkeys(("device", "dtype", *_UNREPORTED))
    return {"device": facts.device, "dtype": facts.dtype, **_UNREPORTED}


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
