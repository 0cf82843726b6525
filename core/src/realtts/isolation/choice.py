"""Which provider a program means, and where it runs: in this process or in an environment of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from realtts import registry
from realtts import settings as settings_module
from realtts.errors import BrokenProvider, InvalidPlugin, IsolationError, SettingsError, UnknownProvider
from realtts.isolation import environments
from realtts.isolation.specs import spec_from_json
from realtts.spec import ProviderSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.settings import Layers, Settings

__all__ = ["Choice", "choose"]


class Choice(NamedTuple):
    """A provider and its place.

    Attributes:
        spec: The provider.
        layers: Its settings.
        environment: Where it runs; None: in this process.
    """

    spec: ProviderSpec
    layers: Layers
    environment: IsolatedEnvironment | None


def choose(provider: str | ProviderSpec | None, given: Mapping[str, Any], settings: Settings | None) -> Choice:
    """The provider that is meant.

    ``isolation="never"`` takes what is installed here, ``"always"`` its environment, ``"auto"`` what is installed here
    if it can be used, else its environment.

    Raises:
        PluginError: Unknown, broken or claimed twice. SettingsError: a setting is wrong.
        IsolationError: There is no environment.
    """
    if isinstance(provider, ProviderSpec):
        spec = registry.check_api(provider)
        layers = settings_module.resolve_settings(spec.name, given, settings)
        if layers.settings.isolation != "always":
            return Choice(spec, layers, None)
        return _isolated(spec.name, layers)
    name: Any = provider
    if name is None:
        settled = settings_module.resolve_settings(None, given, settings).settings
        name = settled.provider or _best(settled)
    if not isinstance(name, str):
        raise SettingsError(f"provider is {type(name).__name__}", fix="give a name or a ProviderSpec")
    layers = settings_module.resolve_settings(name, given, settings)
    if layers.settings.isolation == "always":
        return _isolated(name, layers)
    try:
        return Choice(registry.get_spec(name), layers, None)
    except (UnknownProvider, BrokenProvider, InvalidPlugin):
        if layers.settings.isolation == "never" or environments.find(name, layers.settings) is None:
            raise
    return _isolated(name, layers)


def _best(settings: Settings) -> str:
    """The best provider of those installed here and in environments.

    Raises:
        NoProvider: There is none.
    """
    names: set[str] = set()
    if settings.isolation != "always":
        names |= {entry.name for entry in registry.installed() if entry.spec is not None}
    if settings.isolation != "never":
        names |= {environment.name for environment in environments.listed(settings)}
    return registry.preferred(names) or registry.best_provider().name


def _isolated(name: str, layers: Layers) -> Choice:
    environment = environments.find(name, layers.settings)
    if environment is None:
        raise IsolationError(
            f"there is no isolated environment for {name!r}",
            who="isolation",
            fix=f"make one: {environments.install_command(name)}",
        )
    return Choice(registry.check_api(spec_from_json(environment.spec)), layers, environment)
