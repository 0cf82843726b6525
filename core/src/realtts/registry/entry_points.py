"""Entry points of all installed distributions; a damaged one harms no other."""

from __future__ import annotations

import functools
import logging
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import importlib_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["entry_points", "owner"]

_log = logging.getLogger("realtts")


def entry_points(group: str) -> list[importlib_metadata.EntryPoint]:
    """Return the entry points of a group, each with its distribution, without importing anything.

    They are read again when a folder of the path has changed. Not by pluggy's `load_setuptools_entrypoints`, which dies
    of one bad plugin and drops duplicates.
    """
    try:
        return list(_by_group(_state_of_the_path()).get(group, ()))
    except Exception:  # damaged metadata: somewhere in the environment, not necessarily in a plugin
        return list(_one_by_one(group))


def owner(point: importlib_metadata.EntryPoint) -> tuple[str, str]:
    """Return name and version of the distribution that an entry point belongs to."""
    try:
        return (point.dist.name, point.dist.version) if point.dist is not None else ("unknown distribution", "")
    except Exception:
        return "a damaged distribution", ""


@functools.lru_cache(maxsize=1)
def _by_group(_state: tuple[object, ...]) -> Mapping[str, list[importlib_metadata.EntryPoint]]:
    """Read the files of all distributions: a hundred of them take 20 ms, and every provider asks."""
    groups = defaultdict(list)
    for point in importlib_metadata.entry_points():
        groups[point.group].append(point)
    return groups


def _state_of_the_path() -> tuple[object, ...]:
    """Return what differs when a distribution comes, goes or is replaced, which changes the folder that it is in."""
    return (*map(id, sys.meta_path), *map(_state_of_an_entry, sys.path))


def _state_of_an_entry(entry: str) -> tuple[object, ...]:
    try:
        stat = Path(entry).stat()
    except (OSError, ValueError):
        return (entry,)
    return (entry, stat.st_dev, stat.st_ino, stat.st_mtime_ns)


def _one_by_one(group: str) -> Iterator[importlib_metadata.EntryPoint]:
    for distribution in importlib_metadata.distributions():
        try:
            yield from (point for point in distribution.entry_points if point.group == group)
        except Exception as error:
            _log.warning("a distribution is left out, its metadata is damaged: %s", error)
