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
        parsed = parse(line)
        if _name(parsed.name) in needless or not _applies(parsed, extras):
            continue
        try:
            version = importlib_metadata.version(parsed.name)
        except importlib_metadata.PackageNotFoundError:
            yield f"{owner} wants {parsed.name}{parsed.specifier}, which is not installed"
            continue
        if not parsed.specifier.contains(version, prereleases=True):
            yield f"{owner} wants {parsed.name}{parsed.specifier}, here is {version}"
        yield from _of(parsed.name, tuple(parsed.extras), parse, needless, seen)


def _applies(parsed: Any, extras: Iterable[str]) -> bool:
    if parsed.marker is None:
        return True
    return any(parsed.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""
