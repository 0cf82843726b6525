"""Which provider a program means, and where it runs: in this process or in another place, such as an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from realtts.contract.spec import ProviderSpec
from realtts.errors import BrokenProvider, InvalidPlugin, IsolationError, PluginError, SettingsError, UnknownProvider
from realtts.registry import providers
from realtts.registry.places import missing, places
from realtts.settings_sources import resolve_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.ladder.protocols import LadderPlace
    from realtts.registry.providers import Default
    from realtts.settings import Layers, Settings

__all__ = ["Choice", "choose", "default"]


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
        layers = resolve_settings(spec.name, keywords, settings)
        if layers.settings.isolation != "always":
            return Choice(spec, layers, None)
        return _elsewhere(spec.name, layers)
    name: Any = provider
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
    except (UnknownProvider, BrokenProvider, InvalidPlugin):
        choice = None if layers.settings.isolation == "never" else _found_elsewhere(name, layers)
        if choice is None:
            raise
        return choice


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
    specs: dict[str, ProviderSpec] = {}
    if settings.isolation != "never":
        for place in places():
            specs.update(place.specs(settings))
    if settings.isolation != "always":
        specs.update((entry.name, entry.spec) for entry in providers.installed() if entry.spec is not None)
    return providers.default_provider(specs, settings.language)


def _chosen(general: Layers, keywords: Mapping[str, Any], settings: Settings | None) -> Choice:
    """Return the provider that a setting names; an error says which setting that is."""
    try:
        return choose(general.settings.provider, keywords, settings)
    except (PluginError, IsolationError) as error:
        error.fix = f"{error.fix}, or choose another default (this one is {default(general).why}): realtts default NAME"
        raise


def _elsewhere(name: str, layers: Layers) -> Choice:
    choice = _found_elsewhere(name, layers)
    if choice is None:
        raise missing(name)
    return choice


def _found_elsewhere(name: str, layers: Layers) -> Choice | None:
    for place in places():
        spec = place.spec(name, layers.settings)
        if spec is not None:
            return Choice(providers.check_api(spec), layers, cast("LadderPlace", place))
    return None
