"""Where each provider runs, in this process or in an environment of its own, and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.settings import Settings

__all__ = ["HERE", "ISOLATED", "NOWHERE", "Place", "isolated_environments", "isolation_of", "place_of"]

HERE, ISOLATED, NOWHERE = "in process", "isolated", "nowhere"


class Place(NamedTuple):
    """The place where a provider runs.

    Attributes:
        where: `HERE`, `ISOLATED` or `NOWHERE`.
        why: The reason, in words.
    """

    where: str
    why: str


def isolated_environments() -> Mapping[str, IsolatedEnvironment]:
    """Return the environments that can be read, by provider."""
    from realtts.isolation.environments import listed

    return {environment.name: environment for environment in listed(_settings(None))}


def isolation_of(name: str) -> str:
    """Return the setting ``isolation`` of a provider; its default where the settings are wrong."""
    settings = _settings(name)
    return settings.isolation if settings is not None else "auto"


def _settings(name: str | None) -> Settings | None:
    """Return the settings; None where they are wrong, which the doctor reports."""
    from realtts.errors import SettingsError
    from realtts.folders import config_files

    try:
        # pydantic, which reads them, costs more than all the rest of the listing.
        if not config_files(os.environ) and not os.environ.get("REALTTS_ISOLATION"):
            return None
        from realtts.settings_sources import resolve_settings

        return resolve_settings(name).settings
    except SettingsError:
        return None


def place_of(*, installed: bool, broken: bool, isolated: bool, setting: str) -> Place:
    """Return where a provider runs, by the rules of `realtts.provider.choice`.

    Args:
        installed: Its plugin is installed here.
        broken: It cannot be used here.
        isolated: It has an environment.
        setting: The setting ``isolation``.
    """
    if setting == "always":
        if isolated:
            return Place(ISOLATED, "isolation is 'always'")
        return Place(NOWHERE, "isolation is 'always', and it has no environment")
    if installed and not broken:
        rest = "; its environment is not used, isolation='always' would" if isolated else ""
        return Place(HERE, f"its plugin is installed here{rest}")
    here = "its plugin is broken here" if installed else "its plugin is not installed here"
    if isolated and setting == "auto":
        return Place(ISOLATED, here)
    return Place(NOWHERE, f"{here}, and isolation is 'never'" if isolated else f"{here}, and it has no environment")
