"""The plugin before its requirements: where it comes from, and what its spec wants of its environment."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from realtts.contract.spec import Environment
from realtts.documents import MALFORMED, reason_of
from realtts.errors import InstallFailed, IsolationError, WorkerDied, closest
from realtts.isolation.environments import IsolatedEnvironment
from realtts.isolation.install.requirements import (
    Pin,
    checked_address,
    checked_argument,
    checked_environment,
    checked_name,
    checked_requirement,
    checked_version,
    name_of,
)
from realtts.isolation.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realtts.isolation.install.uv import Uv

__all__ = ["Staged", "checked_source", "stage"]

_READING_S = 120.0
_ADDRESS = re.compile(r"^(git\+|https?:|file:)")


@dataclass(frozen=True)
class Staged:
    """A plugin that is at hand.

    Attributes:
        distribution: Its name.
        version: Its version.
        requirement: What to install, pinned, with the extras that were asked for.
        environment: What its spec wants, less the exclusions that an extra needs after all.
        wheel: Its wheel, if it was built or given here.
        built: Whether the wheel was built here: another build of the same files may have another hash.
    """

    distribution: str
    version: str
    requirement: str
    environment: Environment
    wheel: Path | None
    built: bool


def checked_source(source: str) -> str:
    """Return where a plugin comes from: a path, an address, or a requirement.

    Raises:
        ValueError: It is none of them.
    """
    checked_argument(source)
    if _ADDRESS.match(source):
        return checked_address(source)
    return source if _path_of(source) is not None else checked_requirement(source)


def stage(uv: Uv, name: str, source: Pin, *, extras: Sequence[str], work: Path, wheels: Path, python: str) -> Staged:
    """Get a plugin without its dependencies and read its spec.

    Args:
        uv: How uv is run.
        name: The provider.
        source: A folder, wheel or source archive, an address, or a requirement; with the hashes of a lock, nothing else
            is imported.
        extras: Extras of the plugin.
        work: An empty folder to unpack to.
        wheels: Where a wheel is kept that was built or given here.
        python: The Python to get it for.

    Raises:
        InstallFailed: It cannot be had, or has no such provider or extra, or asks for what is refused.
    """
    where = source.requirement
    wheel, built = _wheel_of(uv, where, wheels)
    line = Pin(wheel.as_uri() if wheel is not None else where, source.hashes).line()
    uv.run("stage", "pip", "install", "--no-deps", "--target", work, "-p", python, "-r", "-", stdin=f"{line}\n")
    description = _describe(name, work)
    _check(name, description, extras)
    distribution, version = description["distribution"], description["version"]
    named = f"{distribution}[{','.join(map(name_of, extras))}]" if extras else distribution
    if wheel is not None:
        requirement = f"{named} @ {wheel.as_uri()}"
    elif _ADDRESS.match(where):
        requirement = f"{named} @ {where}"
    elif url := Requirement(where).url:
        requirement = f"{named} @ {url}"
    else:
        requirement = f"{named}=={version}"
    wanted = {key: _frozen(value) for key, value in (description["environment"] or {}).items()}
    environment = checked_environment(Environment(**wanted), name)
    needed = {name_of(line) for line in description["requires"] if _wanted_by(line, extras)}
    exclude = tuple(package for package in environment.exclude if package not in needed)
    environment = Environment(environment.python, environment.requirements, environment.overrides, exclude)
    return Staged(distribution, version, requirement, environment, wheel, built)


def _path_of(source: str) -> Path | None:
    """Return the path that a source is, whether it exists or not; None for an address or a requirement."""
    path = Path(unquote(urlsplit(source).path)) if source.startswith("file:") else Path(source).expanduser()
    if path.exists():
        return path.absolute()
    looks_like_a_path = path.suffix in {".whl", ".gz", ".zip"} or "/" in source or "\\" in source or source == "."
    remote = _ADDRESS.match(source) and not source.startswith("file:")
    return path.absolute() if looks_like_a_path and not remote and "@" not in source else None


def _wheel_of(uv: Uv, source: str, wheels: Path) -> tuple[Path | None, bool]:
    """Return the wheel of a local source, and whether it was built; None for what an index or an address has."""
    path = _path_of(source)
    if path is None:
        return None, False
    if not path.exists():
        raise InstallFailed(
            f"there is no {path}", who=f"installing {uv.name!r}", fix="correct --from", phase="stage"
        )  # fmt: skip
    if path.suffix == ".whl":
        return Path(shutil.copy(path, wheels)), False
    before = set(wheels.glob("*.whl"))
    uv.run("stage", "build", "--wheel", "--out-dir", wheels, path)
    return next(iter(set(wheels.glob("*.whl")) - before), None), True


def _describe(name: str, folder: Path) -> dict[str, Any]:
    # This process's own packages come behind: a spec may import the core, and what the core needs.
    paths = [str(folder), *(path for path in sys.path if path)]
    code = (
        f"import sys; sys.path[:] = {paths!r}; from realtts.isolation.install.describe import describe;"
        " from realtts.wire.child import serve; serve(describe)"
    )
    here = IsolatedEnvironment(name, Path(sys.executable), spec={}, core_version="")
    reason = ""
    cause: Exception | None = None
    try:
        answer = run_program(
            here, ("-c", code), {"folder": str(folder), "name": name}, activity="reading its spec",
            deadline_s=_READING_S,
        )  # fmt: skip
        if answer.error is None:
            return _checked(name, answer.result)
        reason = answer.error.summary()
    except MALFORMED as error:
        reason, cause = f"its description cannot be understood: {reason_of(error)}", error
    except (WorkerDied, IsolationError) as error:
        if isinstance(error, InstallFailed):
            raise
        reason, cause = error.what, error
    raise InstallFailed(
        f"the plugin's spec cannot be read: {reason.rstrip('.')}", who=f"installing {name!r}",
        fix="report it to the plugin's authors", phase="stage",
    ) from cause  # fmt: skip


def _checked(name: str, description: dict[str, Any]) -> dict[str, Any]:
    """Check the name and version that a distribution gives itself: they become part of requirements."""
    who = f"installing {name!r}"
    if not description["distribution"]:
        raise InstallFailed("what was installed is no distribution", who=who, fix="correct --from", phase="stage")
    for key, check in (("distribution", checked_name), ("version", checked_version)):
        try:
            check(description[key])
        except ValueError as error:
            what = f"the {'name' if key == 'distribution' else key} {description[key]!r} in its metadata is refused"
            raise InstallFailed(
                f"{what}: {error}", who=who, fix="report it to the plugin's authors", phase="stage"
            ) from error  # fmt: skip
    return description


def _check(name: str, description: dict[str, Any], extras: Iterable[str]) -> None:
    who = f"installing {name!r}"
    providers = description["providers"]
    if name not in providers:
        distribution = f"{description['distribution']} {description['version']}"
        what = f"{distribution} has no provider of that name{closest(name, providers)}"
        fix = f"choose from {', '.join(providers)}" if providers else "name a plugin for realtts: --from"
        raise InstallFailed(what, who=who, fix=fix, phase="stage")
    available = {name_of(extra) for extra in description["extras"]}
    for extra in extras:
        if name_of(extra) not in available:
            raise InstallFailed(
                f"{description['distribution']} has no extra {extra!r}{closest(extra, available)}", who=who,
                phase="stage",
                fix=f"choose from {', '.join(sorted(available))}" if available else "leave --extra out",
            )  # fmt: skip


def _wanted_by(requirement: str, extras: Iterable[str]) -> bool:
    """Tell whether one of the extras, and nothing else, asks for a requirement of a distribution's metadata."""
    try:
        marker = Requirement(requirement).marker
    except InvalidRequirement:
        return False
    return (
        marker is not None
        and not marker.evaluate({"extra": ""})
        and any(marker.evaluate({"extra": name_of(extra)}) for extra in extras)
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
