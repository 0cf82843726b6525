"""Environments on disk: builds, the one in use, stale ones, sizes, and removal.

environments/
├── .NAME.lock                   held by whoever makes or removes it
└── NAME/
├── environment.json         names the interpreter of the build in use; replaced as a whole
└── builds/ID/
├── venv/
├── requirements.lock    what was resolved
├── recipe.json          what was asked for, for the next upgrade
└── wheels/              the core, and the plugin if it came from a folder
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from realtts.documents import read_json_table
from realtts.errors import InstallFailed, IsolationError, closest
from realtts.folders import PART, write_whole
from realtts.isolation import environments
from realtts.isolation.install.locks import locked
from realtts.isolation.install.proving import prove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.settings import Settings

__all__ = ["LOCKFILE", "WHEELS", "InstalledEnvironment", "installed_environments", "uninstall"]

BUILDS = "builds"
LOCKFILE = "requirements.lock"
RECIPE = "recipe.json"
WHEELS = "wheels"

_log = logging.getLogger("realtts.isolation")


@dataclass(frozen=True)
class InstalledEnvironment:
    """An environment on this machine.

    Attributes:
        name: The provider.
        folder: Where it lies.
        environment: What it is, None when that cannot be read.
        distribution: The plugin.
        size_bytes: What its files take; what it shares with uv's cache or other environments counts too.
        fault: Why it cannot be used, None when nothing is known against it.
        lockfile: What was resolved, None when that is not known.
    """

    name: str
    folder: Path
    environment: IsolatedEnvironment | None
    distribution: str
    size_bytes: int
    fault: str | None
    lockfile: Path | None


def installed_environments(settings: Settings | None = None, *, check: bool = False) -> list[InstalledEnvironment]:
    """List every environment, those that cannot be used included, in order of name.

    Args:
        settings: Says where they lie.
        check: Import every plugin in its environment, and let speak what can without weights.
    """
    home = environments.folder(settings)
    return [_describe(home / name, check=check) for name in environment_names(settings)]


def environment_names(settings: Settings | None = None) -> list[str]:
    """Return the name of every environment, those that cannot be used included, in order."""
    return [home.name for home in _folders(environments.folder(settings)) if not home.name.startswith(".")]


def locate(name: str, settings: Settings | None = None) -> InstalledEnvironment:
    """Return a provider's environment without its size, whether it can be used or not."""
    return _describe(environments.folder(settings) / name, size=False)


def uninstall(name: str, *, settings: Settings | None = None, waiting: Callable[[], None] | None = None) -> int:
    """Remove a provider's environment.

    Args:
        name: The provider.
        settings: Says where the environments lie.
        waiting: Called when another process makes or removes it just now.

    Returns:
        Bytes that its files took.

    Raises:
        IsolationError: There is none, or it cannot be removed.
    """
    folder = environments.folder(settings)
    names = environment_names(settings)
    if name not in names:
        raise IsolationError(
            f"there is no isolated environment for {name!r}{closest(name, names)}", who="isolation",
            fix=f"choose from {', '.join(names)}" if names else "nothing is left to do",
        )  # fmt: skip
    home = folder / name
    with locked(lock_of(home), waiting or (lambda: None)):
        size = _size(home)
        try:
            # Renamed first: from here on it is not there, whatever happens to this process.
            trash = folder / f".{name}.{secrets.token_hex(4)}.gone"
            home.rename(trash)
        except OSError as error:
            raise IsolationError(
                f"it cannot be removed: {error.strerror or error}", who=f"environment {name!r}",
                fix=f"remove the folder {home}",
            ) from error  # fmt: skip
        discard(trash)
    return size


def lock_of(home: Path) -> Path:
    """Return the file whose lock is held while an environment changes."""
    return home.with_name(f".{home.name}.lock")


def usable(home: Path) -> IsolatedEnvironment | None:
    """Return the environment, None if it must be made anew."""
    entry = _describe(home, size=False) if (home / environments.FILE).is_file() else None
    return entry.environment if entry is not None and entry.fault is None else None


def recipe(home: Path) -> dict[str, Any]:
    """Return what the build in use was made from; empty when that is not known."""
    with contextlib.suppress(OSError, ValueError, IsolationError):
        build = _build_in_use(home)
        if build is not None:
            return read_json_table(build / RECIPE)
    return {}


def write_recipe(build: Path, content: dict[str, Any]) -> None:
    """Remember what a build was made from."""
    (build / RECIPE).write_text(json.dumps(content, indent=2), encoding="utf-8")


def new_build(home: Path) -> Path:
    """Make an empty folder for a build."""
    build = home / BUILDS / secrets.token_hex(4)
    build.mkdir(parents=True)
    return build


def switch(home: Path, environment: IsolatedEnvironment) -> None:
    """Put a build into use by replacing one file, so that there is an environment at every moment."""
    content = json.dumps(environment.as_dict(home), indent=2)
    write_whole(home / environments.FILE, content.encode())


def clear(home: Path) -> None:
    """Remove what nobody uses: builds that were not finished or were replaced, unless a process runs from them."""
    in_use = None
    with contextlib.suppress(IsolationError):
        in_use = _build_in_use(home)
        for build in _folders(home / BUILDS):
            if build != in_use and not _runs_from(build):
                discard(build)
    for part in home.glob(f"*{PART}"):
        part.unlink(missing_ok=True)
    for trash in home.parent.glob(f".{home.name}.*.gone"):
        discard(trash)
    if in_use is None:
        for folder in (home / BUILDS, home):
            with contextlib.suppress(OSError):
                folder.rmdir()


def discard(folder: Path) -> None:
    """Remove a folder; what cannot be removed is left to the next time."""
    shutil.rmtree(folder, onerror=lambda _function, path, _error: _log.debug("%s cannot be removed", path))


def _build_in_use(home: Path) -> Path | None:
    if not (home / environments.FILE).is_file():
        return None
    python = environments.read(home).python
    builds = home / BUILDS
    return builds / python.relative_to(builds).parts[0] if python.is_relative_to(builds) else None


def _describe(home: Path, *, check: bool = False, size: bool = True) -> InstalledEnvironment:
    environment, fault, lockfile = None, None, None
    try:
        if not (home / environments.FILE).is_file():
            fault = "it was never finished"
        else:
            environment = environments.read(home)
            fault = environments.fault(environment)
            build = _build_in_use(home)
            lockfile = build / LOCKFILE if build is not None and (build / LOCKFILE).is_file() else None
            if check and fault is None:
                prove(home.name, environment.python)
    except InstallFailed as error:
        fault = error.what
    except IsolationError as error:
        fault = error.what
    distribution = environment.distribution if environment is not None else ""
    return InstalledEnvironment(home.name, home, environment, distribution, _size(home) if size else 0, fault, lockfile)


def _runs_from(build: Path) -> bool:
    """Tell whether a process uses the build's interpreter."""
    prefix = f"{build}{os.sep}"
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            if command and command[0].startswith(prefix):
                return True
    return False


def _folders(home: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted(path for path in home.iterdir() if path.is_dir())


def _size(folder: Path) -> int:
    """Return the bytes of a folder's files, each counted once however many names it has."""
    sizes: dict[tuple[int, int], int] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                stat = os.lstat(f"{root}/{name}")
                sizes[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(sizes.values())
