"""The isolated environments that are installed: ``<data folder>/environments/<name>/environment.json``."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.errors import IsolationError
from realtts.folders import data_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.settings import Settings

__all__ = ["FILE", "IsolatedEnvironment", "fault", "find", "folder", "install_command", "listed", "read"]

FILE = "environment.json"
FORMAT = 1

_log = logging.getLogger("realtts.isolation")


@dataclass(frozen=True)
class IsolatedEnvironment:
    """A provider's own environment.

    Attributes:
        name: Name of the provider.
        python: Its interpreter.
        spec: The provider's spec as `realtts.wire.specs.spec_to_json` writes it.
        core_version: Version of the core in it.
        versions: Versions of the distributions that matter, by name.
        distribution: The plugin's distribution, empty when it is not known.
    """

    name: str
    python: Path
    spec: Mapping[str, Any]
    core_version: str
    versions: Mapping[str, str] = field(default_factory=dict)
    distribution: str = ""

    def as_dict(self, home: Path | None = None) -> dict[str, Any]:
        """What `FILE` holds.

        Args:
            home: The environment's folder. An interpreter in it is written relative to it, so that the folder may be
                moved.
        """
        inside = home is not None and self.python.is_relative_to(home)
        return {
            "format": FORMAT,
            "name": self.name,
            "python": (self.python.relative_to(home) if inside and home else self.python).as_posix(),
            "core_version": self.core_version,
            "versions": dict(self.versions),
            "distribution": self.distribution,
            "spec": dict(self.spec),
        }


def install_command(name: str) -> str:
    """The command that makes a provider's environment."""
    return f"realtts install {name}"


def folder(settings: Settings | None = None) -> Path:
    """Where the environments lie, a folder for each; it need not exist."""
    return data_folder(settings.data_dir if settings is not None else None) / "environments"


def find(name: str, settings: Settings | None = None) -> IsolatedEnvironment | None:
    """The environment of a provider, None when there is none.

    Raises:
        IsolationError: Its description cannot be read.
    """
    if not name or not all(char.isalnum() or char in "-_" for char in name):
        return None  # a name that is a path must not lead out of the folder
    home = folder(settings) / name
    return read(home) if (home / FILE).is_file() else None


def listed(settings: Settings | None = None) -> list[IsolatedEnvironment]:
    """Every environment that can be read, in order of name; the others are logged and left out."""
    found: list[IsolatedEnvironment] = []
    try:
        homes = sorted(home.parent for home in folder(settings).glob(f"*/{FILE}"))
    except OSError as error:
        _log.warning("isolated environments cannot be listed: %s", error)
        return []
    for home in homes:
        if home.name.startswith("."):
            continue  # one that is being made
        try:
            found.append(read(home))
        except IsolationError as error:
            _log.warning("%s", error)
    return found


def fault(environment: IsolatedEnvironment) -> str | None:
    """Why its workers cannot be used, as far as that is known without starting one; None when nothing is."""
    if not environment.python.exists():
        return f"its interpreter {environment.python} is gone"
    ours = importlib_metadata.version("realtts")
    if environment.core_version.split(".")[:2] != ours.split(".")[:2]:
        return f"it has the core {environment.core_version}, this process {ours}"
    return None


def read(home: Path) -> IsolatedEnvironment:
    """The environment in a folder.

    Raises:
        IsolationError: Its description cannot be read.
    """
    try:
        content = json.loads((home / FILE).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"it has the format {content['format']!r}, this version reads {FORMAT}")
        environment = IsolatedEnvironment(
            name=str(content["name"]),
            python=home / Path(content["python"]),  # as it is: a link to the interpreter says which environment it is
            spec=dict(content["spec"]),
            core_version=str(content["core_version"]),
            versions=dict(content["versions"]),
            distribution=str(content.get("distribution", "")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IsolationError(
            f"{FILE} cannot be read: {type(error).__name__}: {error}",
            who=f"environment {home.name!r}",
            fix=f"make it anew: {install_command(home.name)}",
        ) from error
    if environment.name != home.name:
        raise IsolationError(
            f"{FILE} is that of {environment.name!r}",
            who=f"environment {home.name!r}",
            fix=f"make it anew: {install_command(home.name)}",
        )
    return environment
