"""How a worker ended: the error for its request, and the rung that no worker survives."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NamedTuple

from realtts.errors import IsolationError, RealTTSError, WorkerDied
from realtts.isolation.environments import install_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.events import Event

__all__ = ["Crashes", "Place", "closing", "death_of", "unusable"]

_LINES_SHOWN = 3


def death_of(name: str, what: str, fix: str, doing: str, *, code: int, lines: Sequence[str]) -> RealTTSError:
    """The error for the request that a worker has not survived.

    Args:
        name: The provider.
        what: What the worker did.
        fix: What to do about it, empty when the worker ended by itself.
        doing: What it was working on.
        code: Its exit code.
        lines: What it printed last.

    Returns:
        `WorkerDied`; `IsolationError` when a program that is not even a worker ended by itself.
    """
    told = "".join(f"; {line.strip().rstrip('.')}" for line in _telling(lines))
    how = "" if fix else _exit(code)
    if doing == "starting" and code > 0 and not fix:
        return unusable(name, f"its worker does not start{how}{told}")
    killed = hasattr(signal, "SIGKILL") and code == -signal.SIGKILL and not fix
    memory = "; if nobody killed it, the machine's memory ran out" if killed else ""
    return WorkerDied(
        f"its worker {what}{how} while {doing}{told}",
        who=f"provider {name!r}",
        fix=f"{fix or 'try again, a new worker is started'}{memory}",
        stderr=tuple(lines),
        exit_code=code,
    )


def unusable(name: str, what: str) -> IsolationError:
    """The error for an environment that has to be made anew."""
    fix = f"make it anew: {install_command(name)} --upgrade"
    return IsolationError(what, who=f"environment {name!r}", fix=fix)


def _telling(lines: Sequence[str]) -> Sequence[str]:
    """The lines to show: of a native crash what was printed before, its name, and where it was; else the last ones."""
    crash = next((number for number, line in enumerate(lines) if line.startswith("Fatal Python error: ")), None)
    if crash is None:
        return lines[-_LINES_SHOWN:]
    frames = [line for line in lines[crash:] if line.lstrip().startswith("File ")]
    return [*lines[max(crash - 1, 0) : crash + 1], *frames[:1]]


def _exit(code: int) -> str:
    if code >= 0:
        return f" (exit code {code})"
    try:
        return f" ({signal.Signals(-code).name})"
    except ValueError:
        return f" (signal {-code})"


class Place(NamedTuple):
    """Where on the ladder a worker was at work.

    Attributes:
        variant, rung: The rung.
        stage: Its stage.
    """

    variant: str
    rung: str
    stage: str


class Crashes:
    """The rung that the last worker crashed on, until a request goes well.

    Once may be chance: somebody has killed it, or one text did. Twice in a row is taken for the rung's fault.
    """

    def __init__(self) -> None:
        self._at: Place | None = None
        self._before: Place | None = None
        self._doomed: Place | None = None

    def at_work(self, place: Place | None) -> None:
        """What the worker does from now on happens there; None: on no rung yet."""
        self._at = place

    def heard(self, event: Event) -> None:
        """A worker tells which stage of which rung it begins while it loads."""
        if event.name == "stage.started":
            about = event.data
            self._at = Place(str(about.get("variant")), str(about.get("rung")), str(about.get("stage")))

    def died(self, *, by_itself: bool) -> None:
        """The worker has ended; by itself, or because it reached a limit, which says nothing of the rung."""
        self._doomed = None
        if by_itself:
            before, self._before = self._before, self._at
            if self._at is not None and before is not None and before[:2] == self._at[:2]:
                self._doomed = self._at

    def take(self) -> Place | None:
        """Where two workers in a row have crashed just now; asked once."""
        doomed, self._doomed = self._doomed, None
        return doomed

    def forget(self) -> None:
        """A request went well, or everything begins anew."""
        self._before = None


def closing(death: WorkerDied) -> WorkerDied:
    """The error as the rung's attempt has it: what helps is another rung, not another try."""
    return WorkerDied(f"twice in a row {death.what}", who=death.who, fix="", stderr=death.stderr)
