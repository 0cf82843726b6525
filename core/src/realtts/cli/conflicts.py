"""Requirements of a plugin that this environment does not meet."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import importlib_metadata
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from realtts.contract.spec import ProviderSpec

__all__ = ["conflicts"]


def conflicts(distribution: str, spec: ProviderSpec) -> list[str]:
    """Return which direct and indirect requirements of a plugin are missing or have another version.

    What its spec overrides or excludes is left out: those pins are known to be needless.

    Args:
        distribution: The plugin's distribution.
        spec: Its spec.

    Returns:
        A line for each, such as ``"qwen-tts wants transformers==4.57.3, here is 5.0"``.
    """
    parsed = _parsed((*spec.environment.overrides, *spec.environment.exclude))
    return list(_of(distribution, (), {canonicalize_name(line.name) for line in parsed}, set()))


def _of(
    owner: str, extras: Iterable[str], needless: Collection[str], seen: set[tuple[str, tuple[str, ...]]]
) -> Iterator[str]:
    key = (canonicalize_name(owner), tuple(sorted(extras)))
    if key in seen:
        return
    seen.add(key)
    try:
        lines = importlib_metadata.distribution(owner).requires or []
    except importlib_metadata.PackageNotFoundError:
        return
    for parsed in _parsed(lines):
        if canonicalize_name(parsed.name) in needless or not _applies(parsed, extras):
            continue
        try:
            version = importlib_metadata.version(parsed.name)
        except importlib_metadata.PackageNotFoundError:
            yield f"{owner} wants {parsed.name}{parsed.specifier}, which is not installed"
            continue
        if not parsed.specifier.contains(version, prereleases=True):
            yield f"{owner} wants {parsed.name}{parsed.specifier}, here is {version}"
        yield from _of(parsed.name, tuple(parsed.extras), needless, seen)


def _applies(parsed: Requirement, extras: Iterable[str]) -> bool:
    if parsed.marker is None:
        return True
    return any(parsed.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _parsed(lines: Iterable[str]) -> Iterator[Requirement]:
    """Yield the requirements that can be read; older distributions have others."""
    for line in lines:
        with contextlib.suppress(InvalidRequirement):
            yield Requirement(line)
