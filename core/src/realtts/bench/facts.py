"""The facts that travel with every record: machine, versions, date."""

from __future__ import annotations

import datetime
import platform
import re
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.errors import RealTTSError
from realtts.machine import survey as machine
from realtts.registry import providers as registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.settings import Settings

__all__ = ["lacking_extras", "machine_facts", "now"]


_OF_EXTRA = re.compile(r"""(?P<name>[A-Za-z0-9._-]+).*;.*\bextra\s*==\s*['"](?P<extra>[^'"]+)['"]""")
"""A requirement of an extra, in a distribution's metadata."""


def machine_facts(settings: Settings, versions: Mapping[str, str | None]) -> dict[str, Any]:
    """Return what decides how fast a provider is on this machine.

    Args:
        settings: For the number of threads.
        versions: Of Python and the distributions that took part.
    """
    cpu = machine.cpu()
    return {
        "system": platform.platform(),
        "cpu": cpu["name"],
        "physical_cores": cpu["physical_cores"],
        "cpu_features": cpu["features"],
        "memory_bytes": machine.memory()["total"],
        "gpus": machine.gpus(),
        "threads": cpu["physical_cores"] if settings.threads == "auto" else settings.threads,
        "versions": dict(versions),
    }


def lacking_extras(name: str) -> list[str]:
    """Return the extras of a provider's distribution of which something is not installed here."""
    try:
        distribution = importlib_metadata.distribution(registry.distribution_of(name)[0])
    except (RealTTSError, importlib_metadata.PackageNotFoundError, ValueError):
        return []  # a spec that no distribution brings
    lacking = set()
    for line in distribution.requires or ():
        wanted = _OF_EXTRA.match(line)
        if wanted is not None:
            try:
                importlib_metadata.version(wanted["name"])
            except importlib_metadata.PackageNotFoundError:
                lacking.add(wanted["extra"])
    return sorted(lacking)


def now() -> str:
    """Return the date and time in UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
