"""A program: read what a distribution says of its providers, from the folder that it was unpacked to.

It runs in a process of its own, because a plugin may do anything when it is imported.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.contract.spec import ProviderSpec
from realtts.registry.providers import GROUP
from realtts.wire.child import serve

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["describe"]


def describe(job: dict[str, str], _: Callable[[str], None]) -> dict[str, Any]:
    """Return what the distribution in ``folder`` says of the provider ``name``."""
    distribution = next(iter(importlib_metadata.distributions(path=[job["folder"]])), None)
    if distribution is None:
        return {"distribution": None}
    points = {point.name: point for point in distribution.entry_points if point.group == GROUP}
    described: dict[str, Any] = {
        "distribution": distribution.metadata["Name"],
        "version": distribution.version,
        "requires": list(distribution.requires or ()),
        "extras": distribution.metadata.get_all("Provides-Extra") or [],
        "providers": sorted(points),
        "environment": None,
    }
    if job["name"] in points:
        try:
            spec = points[job["name"]].load()
        except (Exception, SystemExit):
            # It may need what is not here, which a spec should not; the environment it is built for is the plain one.
            return described
        if isinstance(spec, ProviderSpec):
            described["environment"] = asdict(spec.environment)
    return described


if __name__ == "__main__":
    sys.exit(serve(describe))
