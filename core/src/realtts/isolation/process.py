"""The worker's process: how it is started in its environment, watched and ended, with all that it has started."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from typing import IO, TYPE_CHECKING

from realtts.errors import IsolationError
from realtts.isolation.environments import install_command
from realtts.wire.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.isolation.environments import IsolatedEnvironment

__all__ = ["NOT_INHERITED", "WorkerProcess"]

LINES_KEPT = 150
_LONGEST_LINE = 1000
NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")
"""What would lead programs of the environment to packages of this one."""


class WorkerProcess:
    """A process that runs `realtts.worker.main`, or another program with a channel, in an environment.

    Args:
        environment: Its interpreter is started.
        program: What the interpreter runs; gets ``--fd`` and ``--parent``.
        lock: Descriptor of a lock that it holds with this process.

    Attributes:
        channel: The messages to and from it.
        pid: Its number.

    Raises:
        IsolationError: The interpreter cannot be started.
    """

    def __init__(
        self,
        environment: IsolatedEnvironment,
        program: Sequence[str] = ("-m", "realtts.worker.main"),
        lock: int | None = None,
    ) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._popen = _start(environment, program, theirs, lock)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.pid = self._popen.pid
        self.channel = Channel(ours)
        assert self._popen.stdout is not None
        self._output = _Output(self._popen.stdout, logging.getLogger(f"realtts.{environment.name}.worker"))

    def exited(self) -> bool:
        """Tell whether it has ended. It is not reaped: until `end`, its number belongs to no other process."""
        if hasattr(os, "waitid"):
            try:
                if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                    return True
            except ChildProcessError:
                return True  # somebody else has reaped it
        # Killed, it is a zombie before the last of its threads is gone, and can be waited for only then.
        return not _alive(self.pid)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False when it has not come in time."""
        until = time.monotonic() + seconds
        while not self.exited():
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)
        return True

    def end(self) -> int:
        """Kill it and all that it has started, and close everything; its exit code."""
        self.channel.close()
        if hasattr(os, "killpg"):
            # It is the leader of a group; as a zombie, if it has ended, it still keeps the group's number.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self._popen.kill()
        code = self._popen.wait()
        self._output.join(1.0)
        return code

    def last_lines(self) -> tuple[str, ...]:
        """Return the last lines that it printed."""
        return self._output.lines()

    def memory(self) -> int:
        """Resident bytes, 0 when they cannot be known."""
        import psutil

        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0


class _Output:
    """Reads what a worker prints, so that it never blocks on a full pipe, and keeps the last lines."""

    def __init__(self, stream: IO[bytes], log: logging.Logger) -> None:
        self._stream = stream
        self._log = log
        self._last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._thread = threading.Thread(target=self._read, name="realtts-worker-output", daemon=True)
        self._thread.start()

    def lines(self) -> tuple[str, ...]:
        return tuple(self._last_lines)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _read(self) -> None:
        rest = b""
        with self._stream:
            while True:
                try:
                    block = os.read(self._stream.fileno(), 1 << 16)
                except OSError:
                    return
                # Progress bars return to the begin of their line instead of ending it.
                *whole, rest = re.split(rb"[\r\n]+", rest + block)
                if not block or len(rest) > _LONGEST_LINE:
                    whole, rest = [*whole, rest], b""
                for line in whole:
                    self._note(line[:_LONGEST_LINE].decode(errors="replace").rstrip())
                if not block:
                    return

    def _note(self, line: str) -> None:
        if line:
            self._last_lines.append(line)
            self._log.debug("%s", line)


def _start(
    environment: IsolatedEnvironment, program: Sequence[str], channel: socket.socket, lock: int | None
) -> subprocess.Popen[bytes]:
    command = [
        str(environment.python),
        "-I",  # neither this folder's modules nor those of the user or of PYTHONPATH
        "-u",  # the last words before a crash must not be lost in a buffer
        *program,
        "--fd",
        str(channel.fileno()),
        "--parent",
        str(os.getpid()),
    ]
    windows = sys.platform == "win32"
    if windows:
        channel.set_inheritable(True)
    try:
        return subprocess.Popen(  # noqa: S603 - the interpreter that the installer wrote down
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_variables(environment),
            pass_fds=() if windows else (channel.fileno(), *(() if lock is None else (lock,))),
            close_fds=not windows,
            start_new_session=not windows,  # Ctrl-C is the parent's business
        )
    except OSError as error:
        raise IsolationError(
            f"{environment.python} cannot be started: {error}",
            who=f"environment {environment.name!r}",
            fix=f"make it anew: {install_command(environment.name)}",
        ) from error


def _variables(environment: IsolatedEnvironment) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    # The environment's own tools, such as ninja, come first.
    variables["PATH"] = os.pathsep.join([str(environment.python.parent), variables.get("PATH", os.defpath)])
    return variables


def _alive(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
