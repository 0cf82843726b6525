"""Requirements of a plugin that this environment does not meet."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

import importlib_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realtts.contract.spec import ProviderSpec

__all__ = ["conflicts"]


def conflicts(distribution: str, spec: ProviderSpec) -> list[str]:
    """Return which direct and indirect requirements of a plugin are missing or have another version.

    What its spec overrides or excludes is left out: those pins are known to be needless.

    Args:
        distribution: The plugin's distribution.
        spec: Its spec.

    Returns:
        A line for each, such as ``"qwen-tts wants transformers==4.57.3, here is 5.0"``; none where the library
        ``packaging`` is not installed, which reads requirements.
    """
    try:
        requirements: Any = importlib.import_module("packaging.requirements")
    except ImportError:
        return []
    needless = {_name(line) for line in (*spec.environment.overrides, *spec.environment.exclude)}
    return list(_of(distribution, (), requirements.Requirement, needless, set()))


def _of(
    owner: str, extras: Iterable[str], parse: Any, needless: set[str], seen: set[tuple[str, tuple[str, ...]]]
) -> Iterator[str]:
    key = (_name(owner), tuple(sorted(extras)))
    if key in seen:
        return
    seen.add(key)
    try:
        lines = importlib_metadata.distribution(owner).requires or []
    except importlib_metadata.PackageNotFoundError:
        return
    for line in lines:
        wanted = parse(line)
        if _name(wanted.name) in needless or not _applies(wanted, extras):
            continue
        try:
            version = importlib_metadata.version(wanted.name)
        except importlib_metadata.PackageNotFoundError:
            yield f"{owner} wants {wanted.name}{wanted.specifier}, which is not installed"
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            yield f"{owner} wants {wanted.name}{wanted.specifier}, here is {version}"
        yield from _of(wanted.name, tuple(wanted.extras), parse, needless, seen)


def _applies(wanted: Any, extras: Iterable[str]) -> bool:
    if wanted.marker is None:
        return True
    return any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""
