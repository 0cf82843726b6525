"""Discovery of providers through entry points: names are read without importing, and one fault stops nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.spec import API_VERSION, ProviderSpec
from realtts.errors import BrokenProvider, DuplicateProvider, InvalidPlugin, NoProvider, UnknownProvider, closest
from realtts.exception_text import describe_error
from realtts.registry.entry_points import entry_points, owner

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from importlib_metadata import EntryPoint

__all__ = ["PREFERENCE", "Installed", "best_provider", "get_spec", "installed", "preferred"]

GROUP = "realtts.providers"

PREFERENCE = ("chatterbox", "qwen3", "f5", "vieneu")
"""Order in which an unnamed provider is looked for; then third parties by name, the embedded voice last."""

EMBEDDED = "espeak"


@dataclass(frozen=True)
class Installed:
    """A provider's name, with its spec or the error.

    Attributes:
        name: Name of the entry point.
        spec: The spec, None when it is broken.
        error: Why it is broken, None when it works.
        distribution: Name of the distribution that brings it; several names, joined by a comma, if they clash.
        version: The distribution's version.
    """

    name: str
    spec: ProviderSpec | None
    error: Exception | None
    distribution: str
    version: str


def installed() -> list[Installed]:
    """List every provider, broken ones included, in order of name. Imports the specs and nothing more."""
    return [_resolve(name, points) for name, points in sorted(_by_name().items())]


def get_spec(name: str) -> ProviderSpec:
    """Return the spec of an installed provider.

    Raises:
        UnknownProvider: Nothing of that name is installed; names the closest.
        DuplicateProvider: Two distributions claim the name; names both.
        BrokenProvider: The plugin cannot be imported.
        InvalidPlugin: The plugin breaks the contract.
    """
    points = _by_name()
    if name not in points:
        # Only names of our own are suggested to pip: a misspelt one may be somebody else's distribution.
        bundled = (*PREFERENCE, EMBEDDED)
        install = f"realtts install {name}, or pip install realtts-{name}, or " if name in bundled else ""
        raise UnknownProvider(
            f"no provider of that name is installed{closest(name, {*points, *bundled})}",
            who=f"provider {name!r}",
            fix=f"{install}choose from what is installed: {', '.join(sorted(points)) or 'nothing'}",
        )
    entry = _resolve(name, points[name])
    if entry.error is not None:
        raise entry.error
    assert entry.spec is not None
    return entry.spec


def check_api(spec: ProviderSpec) -> ProviderSpec:
    """Return the spec itself if it is written for this core's plugin contract.

    Raises:
        InvalidPlugin: It is written for another.
    """
    if spec.api != API_VERSION:
        raise InvalidPlugin(
            f"it is written for plugin contract {spec.api!r}, this core has {API_VERSION}",
            who=f"provider {spec.name!r}",
            fix="install matching versions of realtts and the plugin",
        )
    return spec


def distribution_of(name: str) -> tuple[str, str]:
    """Return name and version of the distribution that brings a provider; empty strings when it is not installed."""
    points = _by_name().get(name)
    return owner(points[0]) if points else ("", "")


def module_of(name: str) -> str:
    """Return the module that a provider's entry point names; an empty string when it is not installed."""
    points = _by_name().get(name)
    return points[0].value.partition(":")[0].strip() if points else ""


def best_provider() -> ProviderSpec:
    """Return the provider used when none is named: `PREFERENCE`, then third parties by name, the embedded voice last.

    Raises:
        NoProvider: Nothing usable is installed.
    """
    usable = {entry.name: entry.spec for entry in installed() if entry.spec is not None}
    name = preferred(usable)
    if name is not None:
        return usable[name]
    raise NoProvider(
        "no usable provider is installed",
        fix="install one: pip install realtts-espeak speaks at once; 'realtts providers' lists what is broken",
    )


def preferred(names: Collection[str]) -> str | None:
    """Return the first of some names in the order of `best_provider`; None if there are none."""
    return next((name for name in (*PREFERENCE, *sorted({*names} - {EMBEDDED}), EMBEDDED) if name in names), None)


def _by_name() -> dict[str, list[EntryPoint]]:
    """Return the entry points by name, one per distribution."""
    points: dict[str, list[EntryPoint]] = {}
    for point in entry_points(GROUP):
        same = points.setdefault(point.name, [])
        if all(owner(point) != owner(other) for other in same):
            same.append(point)
    return points


def _resolve(name: str, points: Sequence[EntryPoint]) -> Installed:
    distribution, version = owner(points[0])
    if len(points) > 1:
        owners = " and ".join(sorted(owner(point)[0] for point in points))
        clash = DuplicateProvider(
            f"it is claimed by {owners}", who=f"provider {name!r}", fix="uninstall one of the two distributions"
        )
        return Installed(name, None, clash, owners, "")
    try:
        spec = _load(name, points[0], distribution)
    except (BrokenProvider, InvalidPlugin) as error:
        return Installed(name, None, error, distribution, version)
    return Installed(name, spec, None, distribution, version)


def _load(name: str, point: EntryPoint, distribution: str) -> ProviderSpec:
    try:
        spec = point.load()
    except InvalidPlugin:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of foreign code: panics of compiled modules are no `Exception`
        raise BrokenProvider(
            f"{point.value!r} cannot be imported: {describe_error(error)}",
            who=f"provider {name!r} of {distribution}",
            fix=f"reinstall or remove it: pip uninstall {distribution}",
        ) from error
    who, ask = f"provider {name!r} of {distribution}", f"report it to the authors of {distribution}"
    if not isinstance(spec, ProviderSpec):
        raise InvalidPlugin(f"{point.value!r} is {type(spec).__name__}, not a ProviderSpec", who=who, fix=ask)
    if spec.name != name:
        raise InvalidPlugin(f"its spec names itself {spec.name!r}", who=who, fix=f"{ask}: the names must be equal")
    return check_api(spec)
