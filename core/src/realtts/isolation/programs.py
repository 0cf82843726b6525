"""One piece of work in another interpreter: a job goes there, lines of progress and one answer come back."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from realtts.contract.events import Event
from realtts.isolation.exits import exit_error, garbage_fix
from realtts.isolation.process import WorkerProcess
from realtts.wire.channel import ChannelClosed, ChannelFault, Kind
from realtts.wire.messages import LogMessage, to_json
from realtts.wire.reading import Answer, Hello, Job, read_from_program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.isolation.environments import IsolatedEnvironment

__all__ = ["run_program"]

_SLICE_S = 0.2
"""How often it is looked whether the process has ended without closing the channel, which a fork of it may hold."""


def run_program(
    environment: IsolatedEnvironment,
    program: Sequence[str],
    job: Any,
    *,
    activity: str,
    tell: Callable[[str], None] | None = None,
    deadline_s: float = float("inf"),
    lock: int | None = None,
) -> Answer:
    """Run a program that `realtts.wire.child.serve` serves, to its end; interrupted, it is ended as well.

    Args:
        environment: Its interpreter runs the program.
        program: The interpreter's arguments, such as ``("-m", "realtts.bench.child")``.
        job: What JSON can hold.
        activity: What it does, for errors.
        tell: Receives its lines of progress.
        deadline_s: Longest time for all of it.
        lock: Descriptor of a lock that it holds with this process.

    Returns:
        Its result, or the error that it ended with.

    Raises:
        WorkerDied: It ended without an answer, or was ended at the deadline. IsolationError: it cannot be started.
    """
    until = time.monotonic() + deadline_s
    process = WorkerProcess(environment, program, lock)
    what, fix, started = "ended", "", False
    try:
        level = logging.getLogger("realtts").getEffectiveLevel()
        process.channel.send(Kind.CALL, to_json(Job(job, level)))
        while time.monotonic() < until:
            frame = process.channel.receive(_SLICE_S)
            if frame is None and process.exited():
                break
            if frame is None:
                continue
            started = True
            message = read_from_program(frame)
            if isinstance(message, Answer):
                return message
            _hand_on(message, process.pid, tell)
        else:
            what, fix = f"was ended after {deadline_s:.0f} s", "see what it does: --debug"
    except ChannelClosed:
        process.wait(0.5)
    except ChannelFault as error:
        what, fix = f"sent garbage ({error})", garbage_fix(environment.name)
    finally:
        code = process.end()
    activity = activity if started else "starting"
    raise exit_error(environment.name, what, fix, activity, code=code, lines=process.last_lines())


def _hand_on(message: Hello | Event | LogMessage, pid: int, tell: Callable[[str], None] | None) -> None:
    """Hand on a line of progress or a log record."""
    if isinstance(message, LogMessage):
        message.handle(pid)
    elif isinstance(message, Event) and tell is not None:
        tell(str(message.data.get("text", "")))
