"""Whether an isolated environment is whole, runs, and is what was locked: what ``realtts doctor`` tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.documents import MALFORMED, reason_of
from realtts.errors import IsolationError, WorkerDied
from realtts.isolation.environments import install_command
from realtts.isolation.install.keeping import locate
from realtts.isolation.install.packing import core_digest
from realtts.isolation.install.requirements import name_of, read_lock
from realtts.isolation.programs import run_program

if TYPE_CHECKING:
    from pathlib import Path

    from realtts.isolation.install.keeping import InstalledEnvironment
    from realtts.settings import Settings

__all__ = ["Health", "health"]

_LONGEST_S = 300.0
_SHOWN = 3


@dataclass(frozen=True)
class Health:
    """The state of an environment.

    Attributes:
        whole: Which files are gone or are not those that were installed; None: none, or it could not be looked.
        runs: Why its plugin cannot be used; None: it imports.
        current: In what it is behind this process or its lock; None: in nothing.
        torch: What its torch can do, as of `realtts.machine.survey.torch`; None: its provider has none.
        say: What ``realtts say`` with this provider would do.
    """

    whole: str | None
    runs: str | None
    current: str | None
    torch: dict[str, Any] | None
    say: str

    @property
    def fault(self) -> str | None:
        """Why it has to be made anew, None when it need not be."""
        return self.whole or self.runs


def health(name: str, settings: Settings | None = None) -> Health:
    """Examine a provider's environment, by a process in it. One that another program made is not started.

    Args:
        name: The provider; it has an environment.
        settings: Says where environments lie.
    """
    entry = locate(name, settings)
    if entry.environment is None or entry.fault is not None:
        return _unusable(name, str(entry.fault))
    if entry.lockfile is None:
        foreign = "not known: 'realtts install' did not make it"
        return Health(None, None, foreign, None, _would(name, None))
    try:
        answer = run_program(
            entry.environment, ("-m", "realtts.isolation.install.examine"), {"name": name},
            activity="being examined", deadline_s=_LONGEST_S,
        )  # fmt: skip
    except (WorkerDied, IsolationError) as error:
        return _unusable(name, error.what)
    if answer.error is not None:
        return _unusable(name, answer.error.summary())
    try:
        found: dict[str, Any] = answer.result
        whole = _listed(found["damaged"], "of its files")
        fault = whole or found["fault"]
        return Health(whole, found["fault"], _behind(entry, found), found.get("torch"), _would(name, fault))
    except MALFORMED as error:
        return _unusable(name, f"what it says of itself cannot be understood: {reason_of(error)}")


def _unusable(name: str, what: str) -> Health:
    return Health(None, what, None, None, _would(name, what))


def _would(name: str, fault: str | None) -> str:
    if fault is None:
        return "a worker in this environment speaks"
    return f"it may fail; first make the environment anew: {install_command(name)} --upgrade"


def _behind(entry: InstalledEnvironment, found: dict[str, Any]) -> str | None:
    """Return what has other versions than this process or the lock."""
    differences = []
    versions = {name_of(name): version for name, version in found["versions"].items()}
    core = importlib_metadata.version("realtts")
    if versions.get("realtts") != core:
        differences.append(f"its core is {versions.get('realtts')}, this one {core}")
    elif found["core"] != core_digest():
        differences.append("its core has other files than this one")
    for pin in _pins(entry.lockfile):
        locked = pin.requirement.partition("==")[2].partition(";")[0].strip()
        here = versions.get(pin.name)
        if here != locked and locked and (here or ";" not in pin.requirement):
            differences.append(f"{pin.name} is {here or 'not there'}, its lock says {locked}")
    return _listed(differences, "")


def _pins(lockfile: Path | None) -> list[Any]:
    try:
        return read_lock(lockfile.read_text(encoding="utf-8")) if lockfile is not None else []
    except (OSError, ValueError):
        return []


def _listed(items: list[str], of: str) -> str | None:
    """Return the first items in one line, None if there is none."""
    if not items:
        return None
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    said = f"{len(items)} {of} are damaged: " if of else ""
    return f"{said}{', '.join(items[:_SHOWN])}{more}"
