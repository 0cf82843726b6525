"""Exits of workers: the error for the request, and rungs that crash every worker."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NamedTuple

from realtts.errors import IsolationError, RealTTSError, WorkerDied
from realtts.isolation.environments import install_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.events import Event

__all__ = ["Crashes", "Place", "exit_error", "garbage_fix", "repeated", "unusable"]

_LINES_SHOWN = 3


def exit_error(name: str, what: str, fix: str, activity: str, *, code: int, lines: Sequence[str]) -> RealTTSError:
    """Make the error for the request during which a worker ended.

    Args:
        name: The provider.
        what: What the worker did.
        fix: What to do about it, empty when the worker ended by itself.
        activity: What it was working on.
        code: Its exit code.
        lines: What it printed last.

    Returns:
        `WorkerDied`; `IsolationError` when a program that is not even a worker ended by itself.
    """
    output = "".join(f"; {line.strip().rstrip('.')}" for line in _relevant(lines))
    how = "" if fix else _exit_reason(code)
    if activity == "starting" and code > 0 and not fix:
        return unusable(name, f"its worker does not start{how}{output}")
    killed = hasattr(signal, "SIGKILL") and code == -signal.SIGKILL and not fix
    memory = "; if nobody killed it, the machine's memory ran out" if killed else ""
    return WorkerDied(
        f"its worker {what}{how} while {activity}{output}",
        who=f"provider {name!r}",
        fix=f"{fix or 'try again, a new worker is started'}{memory}",
        stderr=tuple(lines),
        exit_code=code,
    )


def unusable(name: str, what: str) -> IsolationError:
    """Make the error for an environment that has to be made anew."""
    fix = f"make it anew: {install_command(name)} --upgrade"
    return IsolationError(what, who=f"environment {name!r}", fix=fix)


def _relevant(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines to show: of a native crash the line before it, its name and its first frame; else the last."""
    crash = next((number for number, line in enumerate(lines) if line.startswith("Fatal Python error: ")), None)
    if crash is None:
        return lines[-_LINES_SHOWN:]
    frames = [line for line in lines[crash:] if line.lstrip().startswith("File ")]
    return [*lines[max(crash - 1, 0) : crash + 1], *frames[:1]]


def _exit_reason(code: int) -> str:
    if code >= 0:
        return f" (exit code {code})"
    try:
        return f" ({signal.Signals(-code).name})"
    except ValueError:
        return f" (signal {-code})"


class Place(NamedTuple):
    """Where on the ladder a worker works.

    Attributes:
        variant, rung: The rung.
        stage: Its stage.
    """

    variant: str
    rung: str
    stage: str


class Crashes:
    """Counts crashes of workers in a row on the same rung.

    One may be chance: somebody has killed the worker, or one text did. Two in a row are taken for the rung's fault.
    """

    def __init__(self) -> None:
        self._current: Place | None = None
        self._last_crash: Place | None = None
        self._repeated: Place | None = None

    def enter(self, place: Place | None) -> None:
        """Note where the worker works from now on; None: on no rung yet."""
        self._current = place

    def on_event(self, event: Event) -> None:
        """Note the stage and the rung that a worker begins while it loads."""
        if event.name == "stage.started":
            data = event.data
            self._current = Place(str(data.get("variant")), str(data.get("rung")), str(data.get("stage")))

    def exited(self, *, crashed: bool) -> None:
        """Note the end of a worker: a crash, or that it reached a limit, which says nothing of the rung."""
        self._repeated = None
        if crashed:
            last, self._last_crash = self._last_crash, self._current
            if self._current is not None and last is not None and last[:2] == self._current[:2]:
                self._repeated = self._current

    def take_repeated(self) -> Place | None:
        """Return where two workers in a row have crashed just now, once."""
        place, self._repeated = self._repeated, None
        return place

    def forget(self) -> None:
        """Count from none again: a request went well, or everything was unloaded."""
        self._last_crash = None


def garbage_fix(name: str) -> str:
    """Return what to do about a worker that sent what no worker sends."""
    return f"try again, a new worker is started; if it happens again, make it anew: {install_command(name)} --upgrade"


def repeated(error: WorkerDied) -> WorkerDied:
    """Make the error for the attempt of the rung: what helps is another rung, not another try."""
    return WorkerDied(f"twice in a row {error.what}", who=error.who, fix="", stderr=error.stderr)
