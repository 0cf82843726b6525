"""Errors of uv, translated for the user who installs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from realtts.errors import InstallFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["UNREACHABLE", "failure"]

UNREACHABLE = "the package index cannot be reached"

_SHOWN = 6


class _Known(NamedTuple):
    pattern: re.Pattern[str]
    what: str
    fix: str


def _known(pattern: str, what: str, fix: str) -> _Known:
    return _Known(re.compile(pattern, re.IGNORECASE), what, fix)


_TABLE = (
    _known(
        r"hash(es)? mismatch|mismatched hash",
        "a file is not the one that the lock names: its hash differs",
        "get the file again from where you trust it, or choose versions anew: --upgrade without --locked",
    ),
    _known(
        r"no space left on device|os error 28\b|os error 112\b|disk quota exceeded|not enough space",
        "the disk is full",
        "free some of it (uv's cache: uv cache clean), or set REALTTS_DATA_DIR to a folder on another disk",
    ),
    _known(
        r"permission denied|read-only file system",
        "a folder cannot be written",
        "set REALTTS_DATA_DIR to a folder that can be written",
    ),
    _known(
        r"python-build-standalone|no interpreter found"
        r"|no download (is )?available|failed to inspect python|no virtual environment or system",
        "there is no such Python",
        "install it, or choose another one: --python 3.11",
    ),
    _known(
        r"error sending request|failed to fetch|dns error|network is unreachable|connection (refused|reset)"
        r"|network (connectivity is|was) disabled|timed out|failed to download|tls|certificate",
        UNREACHABLE,
        "try again with a network, or name a folder with the wheels: --find-links DIR",
    ),
    _known(
        r"requires-python|the current python version|does not satisfy python",
        "the packages do not run on this Python",
        "choose another one: --python 3.11",
    ),
    _known(
        r"no compatible|no wheels? with a matching|has no usable wheels|incompatible with the current platform",
        "there is no package for this machine and Python",
        "choose another Python: --python 3.11",
    ),
    _known(
        r"was not found in the (package registry|provided package locations|cache)|not found in the registry",
        "a package is not known to the index",
        "correct the name, or name where it lies: --from PATH, --find-links DIR",
    ),
    _known(
        r"no solution found",
        "its requirements exclude each other",
        "report it to the plugin's authors; its spec's environment can override what upstream pins",
    ),
    _known(
        r"failed to build|build backend",
        "a package could not be built",
        "install what its build needs, or choose a Python that it has wheels for: --python 3.11",
    ),
)


def failure(name: str, phase: str, code: int, lines: Sequence[str]) -> InstallFailed:
    """Make the error for a run of uv that failed.

    Args:
        name: The provider.
        phase: What uv was run for.
        code: Its exit code.
        lines: The last lines that it said.
    """
    text = "\n".join(lines)
    match = next((match for match in _TABLE if match.pattern.search(text)), None)
    what = match.what if match is not None else f"uv failed with code {code}"
    output = "; ".join(line.strip().rstrip(".") for line in _last(lines))
    return InstallFailed(
        f"{what}{': ' if output else ''}{output}",
        who=f"installing {name!r}",
        fix=match.fix if match is not None else "see what uv says: --debug",
        phase=phase,
        output=tuple(lines),
    )


def _last(lines: Sequence[str]) -> Sequence[str]:
    """Return a few lines from the last one that begins an error on."""
    begin = max((number for number, line in enumerate(lines) if re.match(r"\s*(error|×)", line)), default=None)
    return lines[-_SHOWN:] if begin is None else lines[begin : begin + _SHOWN]
