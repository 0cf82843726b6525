"""Entry points of all installed distributions; a damaged one harms no other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import importlib_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["entry_points", "owner"]

_log = logging.getLogger("realtts")


def entry_points(group: str) -> list[importlib_metadata.EntryPoint]:
    """Return the entry points of a group, each with its distribution, without importing anything.

    Not by pluggy's `load_setuptools_entrypoints`, which dies of one bad plugin and drops duplicates.
    """
    try:
        return list(importlib_metadata.entry_points(group=group))
    except Exception:  # damaged metadata: somewhere in the environment, not necessarily in a plugin
        return list(_one_by_one(group))


def owner(point: importlib_metadata.EntryPoint) -> tuple[str, str]:
    """Return name and version of the distribution that an entry point belongs to."""
    try:
        return (point.dist.name, point.dist.version) if point.dist is not None else ("unknown distribution", "")
    except Exception:
        return "a damaged distribution", ""


def _one_by_one(group: str) -> Iterator[importlib_metadata.EntryPoint]:
    for distribution in importlib_metadata.distributions():
        try:
            yield from (point for point in distribution.entry_points if point.group == group)
        except Exception as error:
            _log.warning("a distribution is left out, its metadata is damaged: %s", error)
