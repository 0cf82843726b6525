"""Compute threads: how many this machine can use, set for a piece of work and handed to child processes.

Switch: the setting ``threads`` (``REALTTS_THREADS``); a number is taken as it stands, ``auto`` means physical cores.
`realtts.accel.backends.torch_flags` sets the same count around each stage of a provider.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.backends import FLAGS_LOCK
from realtts.errors import SettingsError
from realtts.machine.hardware import physical_cores, thread_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["VARIABLES", "Oversubscription", "child_environment", "compute_threads", "exported", "find_oversubscription"]

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What the libraries under torch and numpy read once, when a process loads them."""


class Oversubscription(NamedTuple):
    """More threads than cores.

    Attributes:
        source: What asks for them: an environment variable, ``torch``, or ``workers``.
        threads: How many it asks for.
        cores: Physical cores that this process may use.
    """

    source: str
    threads: int
    cores: int

    def __str__(self) -> str:
        return f"{self.source} asks for {self.threads} threads on {self.cores} cores: set threads={self.cores}"


@contextlib.contextmanager
def compute_threads(count: int | str = "auto") -> Iterator[int]:
    """Run the body with that many threads inside torch's operators; the count before comes back after it.

    The count is global to the process, therefore the lock of `torch_flags` is held: never ``yield`` to a caller
    inside. The environment is left alone, because the libraries of this process have read it already.

    Args:
        count: From 1 to 1024, or ``"auto"`` for the physical cores.

    Yields:
        The count in force.

    Raises:
        SettingsError: Not such a number.
    """
    number = _checked(count)
    with FLAGS_LOCK:
        before = torch.get_num_threads()
        _set(number)
        try:
            yield number
        finally:
            _set(before)


def child_environment(count: int | str = "auto", environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which a child process starts with that many threads.

    Args:
        count: From 1 to 1024, or ``"auto"`` for the physical cores.
        environ: What to start from, by default this process's environment. Variables that the user has set win if
            the count is ``"auto"``.

    Raises:
        SettingsError: Not such a number.
    """
    variables = dict(os.environ if environ is None else environ)
    number = str(_checked(count))
    for name in VARIABLES:
        if count != "auto" or not variables.get(name):
            variables[name] = number
    return variables


@contextlib.contextmanager
def exported(count: int | str = "auto") -> Iterator[int]:
    """Give every child process that is started in the body that many threads; the variables are restored after it.

    Yields:
        The count exported.

    Raises:
        SettingsError: Not a number from 1 to 1024 or ``"auto"``.
    """
    number = _checked(count)
    with FLAGS_LOCK:  # two that export at once would restore each other's values
        before = {name: os.environ.get(name) for name in VARIABLES}
        exports = child_environment(count)
        os.environ.update({name: exports[name] for name in VARIABLES})
        try:
            yield number
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def find_oversubscription(workers: int = 1, environ: Mapping[str, str] | None = None) -> list[Oversubscription]:
    """List everything that asks for more threads than there are cores; an empty list is good.

    Args:
        workers: Processes or threads that compute at the same time, each with torch's own count.
        environ: Environment to look at, by default this process's.
    """
    environ = os.environ if environ is None else environ
    cores = physical_cores()
    requests = {name: _number(environ.get(name, "")) for name in VARIABLES}
    requests["torch"] = torch.get_num_threads()
    if workers > 1:
        requests["workers"] = workers * torch.get_num_threads()
    return [Oversubscription(source, threads, cores) for source, threads in requests.items() if threads > cores]


def _checked(count: int | str) -> int:
    valid = count == "auto" or (isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= 1024)
    if not valid:
        raise SettingsError(f"threads is {count!r}", who="threads", fix="give a number from 1 to 1024, or 'auto'")
    return thread_count(count)


def _set(count: int) -> None:
    if torch.get_num_threads() != count:  # setting it again costs a restart of the pool
        torch.set_num_threads(count)


def _number(text: str) -> int:
    first = text.partition(",")[0].strip()  # OMP_NUM_THREADS may list one number per level
    return int(first) if first.isdigit() else 0
