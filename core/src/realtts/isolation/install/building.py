"""An environment from a staged plugin: which Python, which versions, and the packages."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from realtts.errors import InstallFailed
from realtts.isolation.install.requirements import Pin, name_of, read_lock
from realtts.machine.survey import gpus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.version import Version

    from realtts.isolation.install.staging import Staged
    from realtts.isolation.install.uv import Uv

__all__ = ["BUILDS", "create", "fill", "python_wanted", "resolve"]

_NEVER = "sys_platform == 'never'"
"""A marker that is true nowhere: uv takes an override with it for the package's absence."""

_BACKENDS = {"cpu": "cpu", "auto": "auto", "cuda": "cu128"}

BUILDS = tuple(_BACKENDS)
"""Builds of torch that can be asked for."""

_CLAUSE = re.compile(r"\s*(>=|<=|==|!=|~=|>|<)\s*([0-9]+(?:\.[0-9]+)*)(\.\*)?\s*")


def python_wanted(requested: str | None, specifier: str) -> str:
    """Return the Python to ask uv for: the user's, else this one if the spec allows it, else what the spec says."""
    if requested:
        return requested
    return specifier if specifier and not allows(specifier, sys.version_info[:3]) else sys.executable


def allows(specifier: str, version: tuple[int, ...]) -> bool:
    """Tell whether a specifier such as ``">=3.10,<3.13"`` allows a version; one that cannot be read allows none."""
    for clause in specifier.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            return False
        limit = tuple(map(int, match[2].split(".")))
        cut = version[: len(limit)]
        prefix = bool(match[3])
        holds = {
            ">=": version >= limit,
            "<=": version <= limit or cut == limit,
            ">": version > limit and cut != limit,
            "<": version < limit,
            "==": cut == limit if prefix else cut == limit and not any(version[len(limit) :]),
            "!=": cut != limit if prefix else cut != limit or any(version[len(limit) :]),
            "~=": version >= limit and cut[:-1] == limit[:-1],
        }
        if not holds[match[1]]:
            return False
    return True


def create(uv: Uv, folder: Path, python: str) -> Path:
    """Make an empty environment; its interpreter.

    Raises:
        InstallFailed: There is no such Python.
    """
    uv.run("create", "venv", "--no-project", "-p", python, folder, links=False)
    inside = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not inside.exists():
        raise InstallFailed(
            f"uv made no {inside.name} there", who=f"installing {uv.name!r}", fix="try another Python: --python 3.11",
            phase="create",
        )  # fmt: skip
    return inside


def resolve(uv: Uv, staged: Staged, core: Path, python: Path, *, torch: str | None) -> list[Pin]:
    """Choose the version of every package.

    Args:
        uv: How uv is run.
        staged: The plugin.
        core: The core's wheel.
        python: The environment's interpreter.
        torch: ``"cpu"``, ``"cuda"``, ``"auto"`` (by the GPU's driver), or None: any build. A wheel of it that lies at
            hand comes before those of an index.

    Returns:
        Every package, pinned, with the hashes of its files.

    Raises:
        InstallFailed: There is no solution, or no way to find one.
    """
    environment = staged.environment
    requirements = [f"realtts @ {core.as_uri()}", staged.requirement, *environment.requirements]
    overrides = [*environment.overrides, *(f"{package} ; {_NEVER}" for package in environment.exclude)]
    local = _local_torch(uv, overrides, python, torch)
    if local is not None:
        others = [line for line in overrides if name_of(line) != "torch"]
        try:
            return _compiled(uv, requirements, [*others, local], python, None)
        except InstallFailed:
            uv.tell("resolve", f"{local} lies at hand, and does not fit; looking further")
    return _compiled(uv, requirements, overrides, python, torch)


def fill(uv: Uv, python: Path, pins: Sequence[Pin], *, torch: str | None) -> None:
    """Install exactly what a lock says, from files with its hashes.

    Raises:
        InstallFailed: It cannot be had, has another hash, or does not fit on the disk.
    """
    pinned = next((pin.requirement for pin in pins if pin.name == "torch"), "")
    at_hand = any(pinned == f"torch=={version}" for version in _torch_versions(uv, None))
    # What comes from a repository of git has no hash; the hashes of the others are checked all the same.
    hashes = ("--require-hashes",) if all(pin.hashes for pin in pins) else ("--verify-hashes",)
    uv.run(
        "install", "pip", "sync", "-p", python, "-", *hashes, *_backend(None if at_hand else torch),
        stdin="".join(f"{pin.line()}\n" for pin in pins),
    )  # fmt: skip


def _compiled(
    uv: Uv, requirements: Iterable[str], overrides: Iterable[str], python: Path, torch: str | None
) -> list[Pin]:
    chosen = uv.folder / "overrides.txt"
    chosen.write_text("".join(f"{line}\n" for line in overrides), encoding="utf-8")
    return read_lock(
        uv.run(
            "resolve", "pip", "compile", "-", "--no-header", "--no-annotate", "--generate-hashes", "--override", chosen,
            "-p", python, *_backend(torch), stdin="".join(f"{line}\n" for line in requirements),
        )
    )  # fmt: skip


def _backend(torch: str | None) -> Sequence[str]:
    return ("--torch-backend", _BACKENDS[torch]) if torch else ()


def _local_torch(uv: Uv, overrides: Iterable[str], python: Path, build: str | None) -> str | None:
    """Pin the newest torch wheel of a local folder that fits: the index's newest would win over it.

    A folder with a torch in it says which build is meant: on a machine without GPU the index's is gigabytes too large.
    """
    wanted = next((line for line in overrides if name_of(line) == "torch" and _NEVER not in line), "torch")
    for version in _torch_versions(uv, build):
        if not Requirement(wanted).specifier.contains(version, prereleases=True):
            continue
        pinned = f"torch=={version}"
        with contextlib.suppress(InstallFailed):  # of another Python or system
            uv.run("resolve", "pip", "compile", "-", "-q", "--no-header", "--no-annotate", "--no-deps",
                   "-p", python, stdin=f"{pinned}\n", index=False)  # fmt: skip
            return pinned
    return None


def _torch_versions(uv: Uv, build: str | None) -> list[Version]:
    """Return the versions of the torch wheels that lie in local folders, the newest first, of a build or of any."""
    if build == "auto":
        build = "cuda" if gpus() else "cpu"
    folders = [Path(link) for link in uv.all_links() if "://" not in link]
    versions = set()
    for wheel in (wheel for folder in folders if folder.is_dir() for wheel in folder.glob("torch-*.whl")):
        with contextlib.suppress(InvalidWheelFilename):
            version = parse_wheel_filename(wheel.name)[1]
            # Without a mark it is what the usual index has: CUDA on Linux, none elsewhere.
            of = (version.local or ("cu" if sys.platform == "linux" else "cpu"))[:2]
            if build is None or _BACKENDS[build][:2] == of:
                versions.add(version)
    return sorted(versions, reverse=True)
