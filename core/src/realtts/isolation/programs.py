"""One piece of work in another interpreter: a job goes there, lines of progress and one answer come back."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from realtts.contract.events import Event
from realtts.isolation.exits import exit_error
from realtts.isolation.process import WorkerProcess
from realtts.wire.channel import ChannelClosed, ChannelFault, Kind
from realtts.wire.child import Answer
from realtts.wire.messages import LogMessage, from_json

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
        process.channel.send(Kind.CALL, {"job": job, "log_level": logging.getLogger("realtts").getEffectiveLevel()})
        while time.monotonic() < until:
            frame = process.channel.receive(_SLICE_S)
            if frame is None and process.exited():
                break
            if frame is None:
                continue
            started = True
            if (answer := _answer(frame.kind, frame.content, process.pid, tell)) is not None:
                return answer
        else:
            what, fix = f"was ended after {deadline_s:.0f} s", "see what it does: --debug"
    except ChannelClosed:
        process.wait(0.5)
    except (ChannelFault, ValueError, KeyError) as error:
        what = f"sent garbage ({type(error).__name__}: {error})"
    finally:
        code = process.end()
    activity = activity if started else "starting"
    raise exit_error(environment.name, what, fix, activity, code=code, lines=process.last_lines())


def _answer(kind: Kind, content: dict[str, Any], pid: int, tell: Callable[[str], None] | None) -> Answer | None:
    """Return the answer that a frame holds; None for others, which are handed on."""
    if kind is Kind.REPLY:
        return from_json(Answer, content)
    if kind is Kind.EVENT and tell is not None:
        tell(str(from_json(Event, content).data["text"]))
    elif kind is Kind.LOG:
        record = from_json(LogMessage, content).record(pid)
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
    return None
