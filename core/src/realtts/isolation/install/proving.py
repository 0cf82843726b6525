"""Whether an environment works: its plugin imports there and, where that is free or asked for, speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.errors import InstallFailed, IsolationError, WorkerDied
from realtts.isolation.environments import IsolatedEnvironment
from realtts.isolation.programs import run_program

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["prove"]

_LONGEST_S = 1800.0


def prove(name: str, python: Path, *, speak: str = "free", lock: int | None = None) -> dict[str, Any]:
    """Run `realtts.isolation.install.proof` in an environment.

    Args:
        name: The provider.
        python: The environment's interpreter.
        speak: ``"never"``, ``"free"`` (only what needs no weights) or ``"always"``.
        lock: Descriptor of the lock that it holds with this process.

    Returns:
        ``spec``, ``core_version``, ``distribution``, ``versions``, ``warning``, ``seconds`` of audio or None.

    Raises:
        InstallFailed: It does not work.
    """
    environment = IsolatedEnvironment(name, python, spec={}, core_version="")
    try:
        answer = run_program(
            environment, ("-m", "realtts.isolation.install.proof"), {"name": name, "speak": speak},
            activity="trying it", deadline_s=_LONGEST_S, lock=lock,
        )  # fmt: skip
    except (WorkerDied, IsolationError) as error:
        raise _failed(name, error.what, tuple(getattr(error, "stderr", ()))) from error
    if answer.error is not None:
        raise _failed(name, answer.error.summary(), tuple(answer.error.traceback.split("\n")))
    proof: dict[str, Any] = answer.result
    return proof


def _failed(name: str, what: str, lines: tuple[str, ...]) -> InstallFailed:
    return InstallFailed(
        f"the plugin does not work in its environment: {what.rstrip('.')}", who=f"installing {name!r}",
        fix="report it to the plugin's authors, with what 'realtts --debug install' shows", phase="prove",
        output=lines,
    )  # fmt: skip
