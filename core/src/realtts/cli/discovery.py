"""What is installed, as plain dictionaries: for the listing and for the doctor. Imports neither numpy nor torch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from realtts.cli.places import ISOLATED, isolated_environments, isolation_of, place_of
from realtts.exception_text import describe_error
from realtts.folders import config_files
from realtts.registry import providers as registry
from realtts.registry.entry_points import entry_points, owner

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

    from realtts.contract.spec import ProviderSpec
    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.registry.providers import Default

__all__ = ["find_default", "list_extensions", "list_providers"]

_CHOOSING = ("REALTTS_PROVIDER", "REALTTS_LANGUAGE", "REALTTS_ISOLATION")
"""The variables that may decide which provider is the default."""
_EXTENSIONS = "realtts.extensions"


def find_default() -> tuple[Default | None, str]:
    """Return the provider used when a command names none, and why, or why there is none."""
    from realtts.errors import NoProvider, SettingsError

    try:
        if not config_files(os.environ) and not any(os.environ.get(name) for name in _CHOOSING):
            # pydantic, which reads settings, costs more than all the rest of the listing.
            specs = {name: spec for name, spec in _isolated_specs().items() if spec is not None}
            specs.update((entry.name, entry.spec) for entry in registry.installed() if entry.spec is not None)
            chosen = registry.default_provider(specs)
        else:
            from realtts.provider.choice import default
            from realtts.settings_sources import resolve_settings

            chosen = default(resolve_settings())
    except (NoProvider, SettingsError) as error:
        return None, str(error)
    return chosen, chosen.why


def _isolated_specs() -> dict[str, ProviderSpec | None]:
    return {name: _of_environment(environment)[0] for name, environment in isolated_environments().items()}


def list_providers() -> list[dict[str, Any]]:
    """Return every provider by name, installed here or isolated; broken ones with the reason."""
    here = {entry.name: entry for entry in registry.installed()}
    isolated = isolated_environments()
    return [_provider(name, here.get(name), isolated.get(name)) for name in sorted({*here, *isolated})]


def list_extensions() -> list[dict[str, Any]]:
    """Return every extension by name; they are imported, since only that shows whether they work."""
    return [_extension(point) for point in sorted(entry_points(_EXTENSIONS), key=lambda point: point.name)]


def _provider(name: str, entry: registry.Installed | None, environment: IsolatedEnvironment | None) -> dict[str, Any]:
    broken = entry is not None and entry.error is not None
    place = place_of(
        installed=entry is not None, broken=broken, isolated=environment is not None, setting=isolation_of(name)
    )
    facts: dict[str, Any] = {"name": name, "place": place.where, "why": place.why}
    spec: ProviderSpec | None = None
    if environment is not None and (entry is None or place.where == ISOLATED):
        version = environment.versions.get(environment.distribution, "")
        spec, fault = _of_environment(environment)
        facts |= {"distribution": environment.distribution, "version": version, "broken": fault}
    elif entry is not None:
        fault = str(entry.error) if entry.error is not None else None
        facts |= {"distribution": entry.distribution, "version": entry.version, "broken": fault}
        spec = entry.spec
    return {**facts, **_details(spec)} if spec is not None else facts


def _of_environment(environment: IsolatedEnvironment) -> tuple[ProviderSpec | None, str | None]:
    """Return the spec of an environment, or why it cannot be used."""
    from realtts.errors import IsolationError
    from realtts.isolation import environments
    from realtts.wire.specs import spec_from_json

    fault = environments.fault(environment)
    if fault is not None:
        return None, fault
    try:
        return spec_from_json({**environment.spec, "options": None}), None
    except IsolationError as error:
        return None, error.what


def _details(spec: ProviderSpec) -> dict[str, Any]:
    return {
        "summary": spec.summary,
        "licence": spec.licence,
        "capabilities": sorted(spec.capabilities),
        "languages": list(spec.languages),
        "sample_rates": list(spec.sample_rates),
        "devices": list(spec.devices),
        "torch": spec.torch,
        "embedded": spec.embedded,
        "variants": ["plain"] if spec.optimized is None else ["optimized", "plain"],
        "checkpoints": [
            {
                "name": checkpoint.name,
                "source": checkpoint.source,
                "size_bytes": checkpoint.size_bytes,
                "licence": checkpoint.licence,
            }
            for checkpoint in spec.checkpoints
        ],
    }


def _extension(point: EntryPoint) -> dict[str, Any]:
    name, version = owner(point)
    return {"name": point.name, "distribution": name, "version": version, "broken": _fault(point)}


def _fault(point: EntryPoint) -> str | None:
    # Only where there is an extension at all: this one imports numpy.
    from realtts.registry.extensions import load_extension

    try:
        load_extension(point)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return describe_error(error, origin=True)
    return None
