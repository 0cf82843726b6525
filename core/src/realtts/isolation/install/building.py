"""An environment from a staged plugin: which Python, which versions, and the packages."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.errors import InstallFailed
from realtts.isolation.install.staging import normalized

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realtts.isolation.install.staging import Staged
    from realtts.isolation.install.uv import Uv

__all__ = ["create", "fill", "python_wanted", "resolve"]

_NEVER = "sys_platform == 'never'"
"""A marker that is true nowhere: uv takes an override with it for the package's absence."""

_BACKENDS = {"cpu": "cpu", "auto": "auto", "cuda": "cu128"}
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


def resolve(uv: Uv, staged: Staged, core: Path, python: Path, *, torch: str | None) -> str:
    """Choose the version of every package.

    Args:
        uv: How uv is run.
        staged: The plugin.
        core: The core's wheel.
        python: The environment's interpreter.
        torch: ``"cpu"``, ``"cuda"``, ``"auto"`` or None: a torch wheel that lies at hand, else what the index has.

    Returns:
        A requirements file in which everything is pinned.

    Raises:
        InstallFailed: There is no solution, or no way to find one.
    """
    environment = staged.environment
    requirements = [f"realtts @ {core.as_uri()}", staged.requirement, *environment.requirements]
    overrides = [*environment.overrides, *(f"{package} ; {_NEVER}" for package in environment.exclude)]
    local = None if torch else _local_torch(uv, overrides, python)
    if local is None:
        return _compiled(uv, requirements, overrides, python, torch)
    try:
        return _compiled(uv, requirements, _with(overrides, local), python, None)
    except InstallFailed:
        uv.tell("resolve", f"{local} lies at hand, and does not fit; looking further")
        return _compiled(uv, requirements, overrides, python, None)


def fill(uv: Uv, python: Path, lock: Path, *, torch: str | None) -> None:
    """Install exactly what a requirements file says.

    Raises:
        InstallFailed: It cannot be had, or does not fit on the disk.
    """
    uv.run("install", "pip", "sync", "-p", python, lock, *_backend(torch))


def _compiled(uv: Uv, requirements: Iterable[str], overrides: Iterable[str], python: Path, torch: str | None) -> str:
    chosen = uv.folder / "overrides.txt"
    chosen.write_text("".join(f"{line}\n" for line in overrides), encoding="utf-8")
    return uv.run(
        "resolve", "pip", "compile", "-", "--no-header", "--no-annotate", "--override", chosen, "-p", python,
        *_backend(torch), stdin="".join(f"{line}\n" for line in requirements),
    )  # fmt: skip


def _backend(torch: str | None) -> Sequence[str]:
    return ("--torch-backend", _BACKENDS[torch]) if torch else ()


def _local_torch(uv: Uv, overrides: Iterable[str], python: Path) -> str | None:
    """Pin the torch wheel of a local folder that fits: the index's newest would win over it.

    A folder with a torch in it says which build is meant: on a machine without GPU the index's is gigabytes too large.
    """
    folders = [Path(link) for link in uv.all_links() if "://" not in link]
    if not any(next(folder.glob("torch-*.whl"), None) for folder in folders if folder.is_dir()):
        return None
    requirement = next((line for line in overrides if normalized(line) == "torch" and _NEVER not in line), "torch")
    try:
        pinned = uv.run("resolve", "pip", "compile", "-", "--no-header", "--no-annotate", "--no-deps", "--no-index",
                       "-p", python, stdin=f"{requirement}\n")  # fmt: skip
    except InstallFailed:
        return None
    return next((line.strip() for line in pinned.split("\n") if normalized(line) == "torch"), None)


def _with(overrides: Iterable[str], torch: str) -> list[str]:
    """Add a pinned torch to the overrides."""
    return [*(line for line in overrides if normalized(line) != "torch"), torch]
