"""Facts for the status about the process that holds a model: versions, memory, cache."""

from __future__ import annotations

import functools
import platform
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.machine.memory import memory_report
from realtts.registry import providers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.voice_cache import VoiceCache
    from realtts.settings import Settings

__all__ = ["RungFacts", "local_facts", "versions"]


@dataclass(frozen=True)
class RungFacts:
    """A loaded rung, as the status and the parent of a worker know it.

    Attributes:
        variant: ``"optimized"`` or ``"plain"``.
        rung: Its name.
        device: Such as ``"cpu"`` or ``"cuda:0"``.
        dtype: Compute type, such as ``"bfloat16"``.
        settings: The settings in force, the rung's changes applied.
        changes: The settings that the rung changes.
    """

    variant: str
    rung: str
    device: str
    dtype: str
    settings: Settings
    changes: Mapping[str, Any]


def local_facts(
    spec: ProviderSpec, device: str, voice_cache: VoiceCache, distribution: tuple[str, str]
) -> dict[str, Any]:
    """Return what belongs to the process that holds the model, when it is this one.

    Args:
        spec: The provider.
        device: Where the live rung runs; ``"cpu"`` while nothing is loaded.
        voice_cache: The ladder's.
        distribution: Name and version of what brings the provider.
    """
    return {
        "versions": versions(spec, distribution),
        "memory": memory_report(device),
        "cache": voice_cache.stats(),
        "isolation": "in-process",
        "worker": None,
    }


def versions(spec: ProviderSpec, distribution: tuple[str, str] | None = None) -> dict[str, str | None]:
    """Return the versions of Python and of the distributions that matter, as this process has them.

    Args:
        spec: The provider.
        distribution: Name and version of what brings it; None: they are looked up, which takes milliseconds.
    """
    name, version = distribution or providers.distribution_of(spec.name)
    installed: dict[str, str | None] = {
        "python": platform.python_version(),
        "realtts": _version("realtts"),
        "numpy": _version("numpy"),
    }
    if name:
        installed[name] = version
    if spec.torch:
        torch = sys.modules.get("torch")
        installed["torch"] = str(torch.__version__) if torch is not None else _version("torch")
    return installed


@functools.cache  # what is imported stays, whatever is installed meanwhile
def _version(distribution: str) -> str | None:
    try:
        return importlib_metadata.version(distribution)
    except importlib_metadata.PackageNotFoundError:
        return None
