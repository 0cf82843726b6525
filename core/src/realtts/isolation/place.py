"""Isolated environments as a place where providers run; the entry point that `RealProvider` finds."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from realtts.errors import IsolationError
from realtts.isolation import environments
from realtts.registry.places import missing
from realtts.wire.specs import spec_from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.ladder.protocols import AnyLadder
    from realtts.settings import Layers, Settings

__all__ = ["ladder", "names", "spec", "specs"]


def specs(settings: Settings) -> Mapping[str, ProviderSpec]:
    """Return the specs of all isolated providers by name, without their options; what cannot be used is left out."""
    usable: dict[str, ProviderSpec] = {}
    for environment in environments.listed(settings):
        if environments.fault(environment) is None:
            with contextlib.suppress(IsolationError):
                usable[environment.name] = spec_from_json({**environment.spec, "options": None})
    return usable


def names(settings: Settings) -> set[str]:
    """Return the names of all isolated providers."""
    return {environment.name for environment in environments.listed(settings)}


def spec(name: str, settings: Settings) -> ProviderSpec | None:
    """Return the spec of an isolated provider, its options made from their schema, or None if there is none.

    Raises:
        IsolationError: Its description cannot be read.
    """
    environment = environments.find(name, settings)
    return None if environment is None else spec_from_json(environment.spec)


def ladder(
    spec: ProviderSpec, layers: Layers, checkpoint: Checkpoint | None, report: Callable[[Event], None]
) -> AnyLadder:
    """Make the ladder of an isolated provider; its worker starts at the first use.

    Raises:
        IsolationError: There is no such environment.
    """
    from realtts.isolation.remote_ladder import RemoteLadder

    environment = environments.find(spec.name, layers.settings)
    if environment is None:
        raise missing(spec.name)
    return RemoteLadder(environment, spec, layers, checkpoint, report)
