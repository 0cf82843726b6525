"""Other places where providers may be installed, such as isolated environments (entry points ``realtts.places``)."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Protocol, cast

from realtts.errors import IsolationError
from realtts.registry.entry_points import entry_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.contract.spec import ProviderSpec
    from realtts.settings import Settings

__all__ = ["GROUP", "Place", "missing", "places"]

GROUP = "realtts.places"

_log = logging.getLogger("realtts")


class Place(Protocol):
    """Somewhere beside this process where providers are installed and can run."""

    def specs(self, settings: Settings) -> Mapping[str, ProviderSpec]:
        """Return the specs of all its providers by name, without their options; what cannot be read is left out."""

    def names(self, settings: Settings) -> set[str]:
        """Return the names of its providers."""

    def spec(self, name: str, settings: Settings) -> ProviderSpec | None:
        """Return the spec of one provider, or None if it is not there.

        Raises:
            RealTTSError: It is there, but cannot be used.
        """


@functools.cache
def places() -> tuple[Place, ...]:
    """Return every registered place, in order of name; one that cannot be imported is logged and left out.

    The entry points are read once in the life of the process.
    """
    usable: list[Place] = []
    for point in sorted(entry_points(GROUP), key=lambda point: point.name):
        try:
            usable.append(cast("Place", point.load()))
        except Exception:
            _log.exception("the place %r of providers is left out", point.name)
    return tuple(usable)


def missing(name: str) -> IsolationError:
    """Return the error for a provider that has to run in another place and is in none."""
    return IsolationError(
        f"there is no isolated environment for {name!r}", who="isolation", fix=f"make one: realtts install {name}"
    )
