"""Other places where providers may be installed, such as isolated environments (entry points ``realtts.places``)."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Protocol, cast

from realtts.errors import IsolationError, closest
from realtts.exception_text import format_traceback
from realtts.registry.entry_points import entry_points
from realtts.registry.offers import how_to_isolate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # of foreign code
            _log.error("the place %r of providers is left out\n%s", point.name, format_traceback(error))
    return tuple(usable)


def missing(name: str, names: Iterable[str] = ()) -> IsolationError:
    """Return the error for a provider that has to run in another place and is in none.

    Args:
        name: The provider's.
        names: Those that are there, one of which may have been meant.
    """
    return IsolationError(
        f"there is no isolated environment for {name!r}{closest(name, names)}",
        who="isolation",
        fix=f"make one: {how_to_isolate(name)}",
    )
