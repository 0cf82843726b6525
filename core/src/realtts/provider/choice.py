"""Which provider a program means, and where it runs: in this process or in another place, such as an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from realtts.contract.spec import ProviderSpec
from realtts.errors import (
    BrokenProvider,
    InvalidPlugin,
    IsolationError,
    PluginError,
    SettingsError,
    UnknownLanguage,
    UnknownProvider,
)
from realtts.provider.arguments import check_keywords
from realtts.registry import providers
from realtts.registry.places import missing, places
from realtts.settings_sources import resolve_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.ladder.protocols import LadderPlace
    from realtts.registry.providers import Default
    from realtts.settings import Layers, Settings

__all__ = ["Choice", "choose", "default", "name_speaker"]


class Choice(NamedTuple):
    """A provider and its place.

    Attributes:
        spec: The provider.
        layers: Its settings.
        place: Where it runs; None: in this process.
    """

    spec: ProviderSpec
    layers: Layers
    place: LadderPlace | None


def choose(provider: str | ProviderSpec | None, keywords: Mapping[str, Any], settings: Settings | None) -> Choice:
    """Return the provider that is meant.

    ``isolation="never"`` takes what is installed here, ``"always"`` its environment, ``"auto"`` what is installed here
    if it can be used, else its environment.

    Raises:
        PluginError: Unknown, broken or claimed twice. SettingsError: a setting is wrong.
        IsolationError: There is no environment.
    """
    if isinstance(provider, ProviderSpec):
        spec = providers.check_api(provider)
        check_keywords(keywords, spec)
        layers = resolve_settings(spec.name, keywords, settings)
        if layers.settings.isolation != "always":
            return Choice(spec, layers, None)
        return _elsewhere(spec.name, layers)
    name: Any = provider
    check_keywords(keywords, provider if isinstance(provider, str) else "")
    if name is None:
        general = resolve_settings(None, keywords, settings)
        if general.settings.provider is not None:
            return _chosen(general, keywords, settings)
        name = default(general).name
    if not isinstance(name, str):
        raise SettingsError(f"provider is {type(name).__name__}", fix="give a name or a ProviderSpec")
    layers = resolve_settings(name, keywords, settings)
    if layers.settings.isolation == "always":
        return _elsewhere(name, layers)
    try:
        return Choice(providers.get_spec(name), layers, None)
    except (UnknownProvider, BrokenProvider, InvalidPlugin) as error:
        alone = layers.settings.isolation == "never"
        choice = None if alone else _found_elsewhere(name, layers)
        if choice is not None:
            return choice
        if isinstance(error, UnknownProvider) and not alone:
            raise providers.unknown_provider(name, _names(layers.settings)) from None
        raise


def default(general: Layers) -> Default:
    """Return the provider used when a program names none: what the user chose, else an embedded voice.

    Args:
        general: The settings that apply to no provider in particular.

    Raises:
        NoProvider: Nothing was chosen, and there is neither an embedded voice nor only one provider.
    """
    settings = general.settings
    if settings.provider is not None:
        return providers.Default(settings.provider, f"chosen by {general.sources.get('provider', 'settings=')}")
    return providers.default_provider(_usable(settings), settings.language)


def name_speaker(error: UnknownLanguage, language: object, spec: ProviderSpec, settings: Settings) -> None:
    """Let the error of a provider that does not speak a language name one that does, an embedded voice first.

    Args:
        error: Its fix is extended.
        language: What the call asked for.
        spec: The provider that does not speak it.
        settings: Where providers are looked for.
    """
    if not isinstance(language, str) or not language.strip():
        return
    others = [each for name, each in _usable(settings).items() if name != spec.name and each.languages]
    speaking = [each for each in others if providers.speaks(each, language)]
    if speaking:
        best = min(speaking, key=lambda each: (not each.embedded, each.name))
        error.fix = f"{error.fix}; {best.name} speaks it: RealProvider({best.name!r}), or '-p {best.name}'"


def _usable(settings: Settings) -> dict[str, ProviderSpec]:
    """Return the specs of what can be used, in other places and here, by name."""
    specs: dict[str, ProviderSpec] = {}
    if settings.isolation != "never":
        for place in places():
            specs.update(place.specs(settings))
    if settings.isolation != "always":
        specs.update((entry.name, entry.spec) for entry in providers.installed() if entry.spec is not None)
    return specs


def _chosen(general: Layers, keywords: Mapping[str, Any], settings: Settings | None) -> Choice:
    """Return the provider that a setting names; an error says which setting that is."""
    try:
        return choose(general.settings.provider, keywords, settings)
    except (PluginError, IsolationError) as error:
        error.fix = f"{error.fix}, or choose another default (this one is {default(general).why}): realtts default NAME"
        raise


def _names(settings: Settings) -> set[str]:
    """Return the names of the providers that can be used, here and in other places."""
    names: set[str] = set()
    if settings.isolation != "always":
        names |= {entry.name for entry in providers.installed() if entry.spec is not None}
    if settings.isolation != "never":
        names |= {name for place in places() for name in place.names(settings)}
    return names


def _elsewhere(name: str, layers: Layers) -> Choice:
    choice = _found_elsewhere(name, layers)
    if choice is None:
        raise missing(name, _names(layers.settings))
    return choice


def _found_elsewhere(name: str, layers: Layers) -> Choice | None:
    for place in places():
        spec = place.spec(name, layers.settings)
        if spec is not None:
            return Choice(providers.check_api(spec), layers, cast("LadderPlace", place))
    return None
