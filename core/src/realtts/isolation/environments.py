"""The isolated environments that are installed: ``<data folder>/environments/<name>/environment.json``."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the fields' types, here and below
from dataclasses import dataclass, field, replace
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.documents import MALFORMED, read_json_table, reason_of
from realtts.errors import IsolationError
from realtts.folders import data_folder

if TYPE_CHECKING:
    from pydantic import TypeAdapter

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
        """Return the content of `FILE`.

        Args:
            home: The environment's folder. An interpreter in it is written relative to it, so that the folder may be
                moved.
        """
        python = self.python
        if home is not None and python.is_relative_to(home):
            python = python.relative_to(home)
        content = _adapter().dump_python(self, mode="json")
        return {"format": FORMAT, **content, "python": python.as_posix()}


@functools.cache
def _adapter() -> TypeAdapter[IsolatedEnvironment]:
    from pydantic import TypeAdapter  # not with the module: `realtts providers` starts without it

    return TypeAdapter(IsolatedEnvironment)


def install_command(name: str) -> str:
    """Return the command that makes a provider's environment."""
    return f"realtts install {name}"


def folder(settings: Settings | None = None) -> Path:
    """Return the folder that holds one folder per environment; it need not exist."""
    return data_folder(settings.data_dir if settings is not None else None) / "environments"


def find(name: str, settings: Settings | None = None) -> IsolatedEnvironment | None:
    """Return the environment of a provider, None when there is none.

    Raises:
        IsolationError: Its description cannot be read.
    """
    if not name or not all(char.isalnum() or char in "-_" for char in name):
        return None  # a name that is a path must not lead out of the folder
    home = folder(settings) / name
    try:
        is_there = (home / FILE).is_file()
    except OSError:  # a name that is too long for a folder
        return None
    return read(home) if is_there else None


def listed(settings: Settings | None = None) -> list[IsolatedEnvironment]:
    """Return every environment that can be read, in order of name; the others are logged and left out."""
    environments: list[IsolatedEnvironment] = []
    try:
        homes = sorted(home.parent for home in folder(settings).glob(f"*/{FILE}"))
    except OSError as error:
        _log.warning("isolated environments cannot be listed: %s", error)
        return []
    for home in homes:
        if home.name.startswith("."):
            continue  # one that is being made
        try:
            environments.append(read(home))
        except IsolationError as error:
            _log.warning("%s", error)
    return environments


def fault(environment: IsolatedEnvironment) -> str | None:
    """Return why its workers cannot be used, as far as can be seen without starting one; None if nothing is wrong."""
    if not environment.python.exists():
        return f"its interpreter {environment.python} is gone"
    version = importlib_metadata.version("realtts")
    if environment.core_version.split(".")[:2] != version.split(".")[:2]:
        return f"it has the core {environment.core_version}, this process {version}"
    return None


def read(home: Path) -> IsolatedEnvironment:
    """Return the environment in a folder.

    Raises:
        IsolationError: Its description cannot be read.
    """
    try:
        content = read_json_table(home / FILE)
        if content["format"] != FORMAT:
            raise ValueError(f"it has the format {content['format']!r}, this version reads {FORMAT}")
        environment = _adapter().validate_python(content)
    except MALFORMED as error:
        raise _unreadable(home, f"{FILE} cannot be read: {reason_of(error)}") from error
    if environment.name != home.name:
        raise _unreadable(home, f"{FILE} is that of {environment.name!r}")
    # Not resolved: a link to the interpreter says which environment it belongs to.
    return replace(environment, python=home / environment.python)


def _unreadable(home: Path, what: str) -> IsolationError:
    fix = f"make it anew: {install_command(home.name)}"
    return IsolationError(what, who=f"environment {home.name!r}", fix=fix)
