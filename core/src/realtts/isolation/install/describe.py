"""A program: read what a distribution says of its providers, from the folder that it was unpacked to.

It runs in a process of its own, because a plugin may do anything when it is imported.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.contract.spec import ProviderSpec
from realtts.exception_text import describe_error
from realtts.registry.providers import GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what the folder's distribution says of the provider as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    options.out.write_text(json.dumps(_described(options.folder, options.name)), encoding="utf-8")
    return 0


def _described(folder: str, name: str) -> dict[str, Any]:
    distribution = next(iter(importlib_metadata.distributions(path=[folder])), None)
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
        "error": None,
    }
    if name in points:
        try:
            spec = points[name].load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # It may need what is not here, which a spec should not; the environment it is built for is the plain one.
            described["error"] = describe_error(error)
        else:
            if isinstance(spec, ProviderSpec):
                described["environment"] = asdict(spec.environment)
    return described


if __name__ == "__main__":
    sys.exit(main())
