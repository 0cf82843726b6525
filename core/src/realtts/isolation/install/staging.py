"""The plugin before its requirements: where it comes from, and what its spec wants of its environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from realtts.contract.spec import Environment
from realtts.documents import read_json_table
from realtts.errors import InstallFailed, closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realtts.isolation.install.uv import Uv

__all__ = ["Staged", "normalized", "stage"]

_READING_S = 120
_ADDRESS = re.compile(r"^(git\+|https?:|file:|hg\+|svn\+)")


@dataclass(frozen=True)
class Staged:
    """A plugin that is at hand.

    Attributes:
        distribution: Its name.
        version: Its version.
        requirement: What to install, pinned, with the extras that were asked for.
        environment: What its spec wants, less the exclusions that an extra needs after all.
        wheel: Its wheel, if it was built or given here.
    """

    distribution: str
    version: str
    requirement: str
    environment: Environment
    wheel: Path | None


def stage(uv: Uv, name: str, source: str, *, extras: Sequence[str], work: Path, wheels: Path, python: str) -> Staged:
    """Get a plugin without its dependencies and read its spec.

    Args:
        uv: How uv is run.
        name: The provider.
        source: A folder, wheel or source archive, an address, or a requirement.
        extras: Extras of the plugin.
        work: An empty folder to unpack to.
        wheels: Where a wheel is kept that was built or given here.
        python: The Python to get it for.

    Raises:
        InstallFailed: It cannot be had, or has no such provider or extra.
    """
    wheel = _wheel_of(uv, source, wheels)
    uv.run("stage", "pip", "install", "--no-deps", "--target", work, "-p", python, str(wheel or source))
    description = _describe(name, work)
    _check(name, description, extras)
    distribution, version = description["distribution"], description["version"]
    named = f"{distribution}[{','.join(extras)}]" if extras else distribution
    if wheel is not None:
        requirement = f"{named} @ {wheel.as_uri()}"
    elif _ADDRESS.match(source):
        requirement = f"{named} @ {source}"
    elif "@" in source:
        requirement = f"{named} @ {source.partition('@')[2].strip()}"
    else:
        requirement = f"{named}=={version}"
    environment = Environment(**{key: _frozen(value) for key, value in (description["environment"] or {}).items()})
    needed = {normalized(line) for line in description["requires"] if _extra_of(line) in extras}
    exclude = tuple(package for package in environment.exclude if normalized(package) not in needed)
    environment = Environment(environment.python, environment.requirements, environment.overrides, exclude)
    return Staged(distribution, version, requirement, environment, wheel)


def normalized(requirement: str) -> str:
    """Return the name in a requirement, as indexes compare it."""
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""


def _wheel_of(uv: Uv, source: str, wheels: Path) -> Path | None:
    """Return the wheel of a local source, built if need be; None for what an index or an address has."""
    path = Path(unquote(urlsplit(source).path)) if source.startswith("file:") else Path(source).expanduser()
    looks_like_a_path = path.suffix in {".whl", ".gz", ".zip"} or "/" in source or "\\" in source or source == "."
    if (_ADDRESS.match(source) and not source.startswith("file:")) or not (path.exists() or looks_like_a_path):
        return None
    if "@" in source and not path.exists():
        return None
    path = path.absolute()
    if not path.exists():
        raise InstallFailed(
            f"there is no {path}", who=f"installing {uv.name!r}", fix="correct --from", phase="stage"
        )  # fmt: skip
    if path.suffix == ".whl":
        return Path(shutil.copy(path, wheels))
    before = set(wheels.glob("*.whl"))
    uv.run("stage", "build", "--wheel", "--out-dir", wheels, path)
    return next(iter(set(wheels.glob("*.whl")) - before), None)


def _describe(name: str, folder: Path) -> dict[str, Any]:
    out = folder.with_name(f"{folder.name}.json")
    # This process's own packages come behind: a spec may import the core, and what the core needs.
    paths = [str(folder), *(path for path in sys.path if path)]
    code = f"import sys; sys.path[:] = {paths!r}; from realtts.isolation.install.describe import main; main()"
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-I", "-c", code, str(folder), name, str(out)],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_READING_S, check=False,
        )  # fmt: skip
        description: dict[str, Any] = read_json_table(out)
        out.unlink()
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        reason = "" if isinstance(error, subprocess.TimeoutExpired) else _last_line(done.stderr)
        raise InstallFailed(
            f"the plugin's spec cannot be read{reason}", who=f"installing {name!r}",
            fix="report it to the plugin's authors", phase="stage",
        ) from error  # fmt: skip
    return description


def _check(name: str, description: dict[str, Any], extras: Iterable[str]) -> None:
    who = f"installing {name!r}"
    if not description["distribution"]:
        raise InstallFailed("what was installed is no distribution", who=who, fix="correct --from", phase="stage")
    providers = description["providers"]
    if name not in providers:
        distribution = f"{description['distribution']} {description['version']}"
        what = f"{distribution} has no provider of that name{closest(name, providers)}"
        fix = f"choose from {', '.join(providers)}" if providers else "name a plugin for realtts: --from"
        raise InstallFailed(what, who=who, fix=fix, phase="stage")
    available = {normalized(extra) for extra in description["extras"]}
    for extra in extras:
        if normalized(extra) not in available:
            raise InstallFailed(
                f"{description['distribution']} has no extra {extra!r}{closest(extra, available)}", who=who,
                phase="stage",
                fix=f"choose from {', '.join(sorted(available))}" if available else "leave --extra out",
            )  # fmt: skip


def _extra_of(requirement: str) -> str:
    match = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", requirement)
    return match[1] if match else ""


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").split("\n")
    return next((f": {line.strip()}" for line in reversed(lines) if line.strip()), "")
