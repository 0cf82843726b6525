"""Whether an environment works: its plugin imports there and, where that is free or asked for, speaks."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from realtts.documents import read_json_table
from realtts.errors import InstallFailed
from realtts.isolation.process import NOT_INHERITED

__all__ = ["prove"]

_LONGEST_S = 1800
_SHOWN = 3


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
    variables = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "proof.json"
        command = [str(python), "-I", "-m", "realtts.isolation.install.proof", name, str(out), "--speak", speak]
        done = b""
        try:
            ran = subprocess.run(  # noqa: S603 - the environment's interpreter
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=variables,
                cwd=folder, timeout=_LONGEST_S, check=False,
                pass_fds=() if lock is None or os.name == "nt" else (lock,),
            )  # fmt: skip
            done = ran.stdout
            proof: dict[str, Any] = read_json_table(out)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            lines = tuple(done.decode(errors="replace").split("\n"))
            output = "; ".join(line.strip() for line in lines if line.strip())[-400:]
            raise _failed(name, output or f"{type(error).__name__}: {error}", lines) from error
    if proof["error"] is not None:
        raise _failed(name, proof["error"], tuple(proof["traceback"].split("\n")))
    return proof


def _failed(name: str, what: str, lines: tuple[str, ...]) -> InstallFailed:
    return InstallFailed(
        f"the plugin does not work in its environment: {what.rstrip('.')}", who=f"installing {name!r}",
        fix="report it to the plugin's authors, with what 'realtts --debug install' shows", phase="prove",
        output=lines,
    )  # fmt: skip
