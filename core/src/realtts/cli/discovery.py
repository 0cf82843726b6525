"""What is installed, as plain dictionaries: for the listing and for the doctor. Imports neither numpy nor torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts import registry
from realtts.discovery import entry_points, owner

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

    from realtts.spec import ProviderSpec

__all__ = ["list_extensions", "list_providers"]

_EXTENSIONS = "realtts.extensions"


def list_providers() -> list[dict[str, Any]]:
    """Every provider by name, broken ones with the reason."""
    return [_provider(found) for found in registry.installed()]


def list_extensions() -> list[dict[str, Any]]:
    """Every extension by name; they are imported, since only that shows whether they work."""
    return [_extension(point) for point in sorted(entry_points(_EXTENSIONS), key=lambda point: point.name)]


def _provider(found: registry.Installed) -> dict[str, Any]:
    known: dict[str, Any] = {
        "name": found.name,
        "distribution": found.distribution,
        "version": found.version,
        "broken": str(found.error) if found.error is not None else None,
    }
    return {**known, **_details(found.spec)} if found.spec is not None else known


def _details(spec: ProviderSpec) -> dict[str, Any]:
    return {
        "summary": spec.summary,
        "licence": spec.licence,
        "capabilities": sorted(spec.capabilities),
        "languages": list(spec.languages),
        "sample_rates": list(spec.sample_rates),
        "devices": list(spec.devices),
        "torch": spec.torch,
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
    from realtts.extensions import load_extension

    try:
        load_extension(point)
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return None
