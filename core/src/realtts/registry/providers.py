"""Discovery of providers through entry points: names are read without importing, and one fault stops nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from realtts.contract.spec import API_VERSION, ProviderSpec
from realtts.errors import BrokenProvider, DuplicateProvider, InvalidPlugin, NoProvider, UnknownProvider, nearest
from realtts.exception_text import describe_error
from realtts.kit.languages import language_tag, resolve_language
from realtts.registry.entry_points import entry_points, owner
from realtts.registry.offers import how_to_install, offers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from importlib_metadata import EntryPoint

__all__ = [
    "EMBEDDED",
    "MODELS",
    "Default",
    "Installed",
    "default_provider",
    "get_spec",
    "installed",
    "speaks",
    "unknown_provider",
]

GROUP = "realtts.providers"

MODELS = ("chatterbox", "qwen3", "f5", "vieneu")
"""The project's own providers of models."""

EMBEDDED = ("hibari", "espeak")
"""The project's own embedded voices, in the order in which they are chosen; those of third parties come behind them."""

_LANGUAGE = "en"
"""In which an embedded voice speaks where no language is set."""


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


class Default(NamedTuple):
    """The provider used when a program names none.

    Attributes:
        name: Its name.
        why: Who or what chose it, in words.
    """

    name: str
    why: str


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
        raise unknown_provider(name, points)
    entry = _resolve(name, points[name])
    if entry.error is not None:
        raise entry.error
    assert entry.spec is not None
    return entry.spec


def unknown_provider(name: str, usable: Collection[str]) -> UnknownProvider:
    """Make the error for a provider that nobody brings, with what can be used and what can be installed, from where.

    Args:
        name: What was asked for.
        usable: Names of the providers that there are.
    """
    offered = offers()
    near = nearest(name, {*usable, *offered})
    chosen = name if name in offered else near
    # Only what is offered is named to pip: a misspelt name may be somebody else's distribution.
    install = how_to_install(chosen) if chosen is not None and chosen not in usable else ""
    more = [] if install else sorted(offered.keys() - {*usable})
    steps = [install] if install else []
    steps.append(f"choose from what is installed: {', '.join(sorted(usable)) or 'nothing'}")
    if more:
        steps.append(
            f"install one of {', '.join(f'{each} (realtts install {each}{offered[each].source})' for each in more)}"
        )
    hint = f" (did you mean {near!r}?)" if near is not None else ""
    return UnknownProvider(
        f"no provider of that name is installed{hint}", who=f"provider {name!r:.100}", fix=", or ".join(steps)
    )


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


def default_provider(specs: Mapping[str, ProviderSpec], language: str | None = None) -> Default:
    """Return the provider used when the user has named none: an embedded voice, or the only one that there is.

    Installing a model never changes it while there is an embedded voice.

    Args:
        specs: Those that can be used, by name.
        language: The setting ``language``, a tag or name, or None: English. An embedded voice that speaks it comes
            first.

    Raises:
        NoProvider: There is none, or several and none of them is embedded.
    """
    if not specs:
        raise NoProvider(
            "no usable provider is installed",
            fix=f"install one that speaks at once: {how_to_install(EMBEDDED[-1]) or 'realtts-espeak from its folder'}; "
            "'realtts providers' lists what is broken",
        )
    embedded = [specs[name] for name in (*EMBEDDED, *sorted({*specs} - {*EMBEDDED})) if name in specs]
    # Ours are known by name too: an older environment's spec does not say it.
    embedded = [spec for spec in embedded if spec.embedded or spec.name in EMBEDDED]
    speaking = [spec for spec in embedded if speaks(spec, language or _LANGUAGE)]
    if speaking:
        for_language = f" for {f'the setting {language=}' if language else 'English'}" if len(embedded) > 1 else ""
        return Default(speaking[0].name, f"the embedded voice{for_language}; nothing else was chosen")
    if embedded:
        return Default(embedded[0].name, "the embedded voice; nothing else was chosen")
    if len(specs) == 1:
        return Default(next(iter(specs)), "the only one that is installed; nothing else was chosen")
    first = min(specs)
    raise NoProvider(
        f"nobody is named, and {', '.join(sorted(specs))} are installed, none of them an embedded voice",
        fix=f"name one, or choose your default: realtts default {first}",
    )


def speaks(spec: ProviderSpec, language: str) -> bool:
    """Tell whether a provider speaks a language, given by tag, code or name; regions do not count."""
    primary = language_tag(language).partition("-")[0]
    meant = resolve_language(language, spec.languages, spec.language_names)
    return meant is not None or primary in {tag.partition("-")[0].lower() for tag in spec.languages}


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
            f"{point.value!r} cannot be imported: {describe_error(error, origin=True)}",
            who=f"provider {name!r} of {distribution}",
            fix=f"reinstall or remove it: pip uninstall {distribution}",
        ) from error
    who, ask = f"provider {name!r} of {distribution}", f"report it to the authors of {distribution}"
    if not isinstance(spec, ProviderSpec):
        raise InvalidPlugin(f"{point.value!r} is {type(spec).__name__}, not a ProviderSpec", who=who, fix=ask)
    if spec.name != name:
        raise InvalidPlugin(f"its spec names itself {spec.name!r}", who=who, fix=f"{ask}: the names must be equal")
    return check_api(spec)
