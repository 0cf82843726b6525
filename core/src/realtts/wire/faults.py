"""Errors of a worker: the parent raises the same classes, with the worker's traceback as their cause."""

from __future__ import annotations

import builtins
import re
import traceback
from dataclasses import dataclass, field
from typing import Any

from realtts import errors
from realtts.attempt import Attempt  # noqa: TC001 - pydantic reads the fields' types
from realtts.errors import RealTTSError, StageFailed
from realtts.ladder.rung import StageError

__all__ = ["ErrorMessage", "FailureMessage", "ForeignError", "WorkerTraceback", "destroys_context"]

LONGEST_TRACEBACK = 20_000
_LONGEST_CHAIN = 8
_STICKY = re.compile(
    r"illegal memory access|device-side assert|unspecified launch failure|misaligned address|illegal instruction was"
    r"|illegal address|hardware stack error|uncorrectable ECC|launch timed out|CUDA error: unknown error"
    r"|cudaError(IllegalAddress|Assert|LaunchFailure|MisalignedAddress|IllegalInstruction|HardwareStackError)"
    r"|CUDA_ERROR_(ILLEGAL_ADDRESS|ASSERT|LAUNCH_FAILED|MISALIGNED_ADDRESS|ILLEGAL_INSTRUCTION)",
    re.IGNORECASE,
)


class WorkerTraceback(Exception):
    """The traceback of an error that was raised in a worker, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class ForeignError(Exception):
    """An exception of a class that only the worker has.

    Attributes:
        name: The class, with its module.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


@dataclass(frozen=True)
class ErrorMessage:
    """An error with its causes.

    Attributes:
        kind: The nearest class of `realtts.errors`, so that a plugin's own subclass arrives as one of ours; None: none.
        name: The error's own class, with its module unless it is a builtin.
        message: Its text.
        fields: Its attributes that JSON can express, if it is one of ours.
        attempts: Of a `StageFailed`.
        cause: Its ``__cause__``.
        traceback: Formatted, of the outermost error only: it shows the causes too.
    """

    kind: str | None
    name: str
    message: str
    fields: dict[str, Any] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    cause: ErrorMessage | None = None
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException, depth: int = 0) -> ErrorMessage:
        """Describe an error; of a chain of causes at most eight."""
        kind = next((base.__name__ for base in type(error).__mro__ if base.__name__ in errors.__all__), None)
        module, name, cause = type(error).__module__, type(error).__qualname__, error.__cause__
        return cls(
            kind=kind if isinstance(error, RealTTSError) else None,
            name=name if module == "builtins" else f"{module}.{name}",
            message=str(error),
            fields=_fields(error) if isinstance(error, RealTTSError) else {},
            attempts=error.attempts if isinstance(error, StageFailed) else (),
            cause=cls.of(cause, depth + 1) if cause is not None and depth < _LONGEST_CHAIN else None,
            traceback="" if depth else _traceback(error),
        )

    def summary(self) -> str:
        """Return the class and the text, on one line each."""
        return f"{self.name.rpartition('.')[2]}: {self.message}"

    def error(self) -> BaseException:
        """Make the error again; its last cause is a `WorkerTraceback`."""
        return self._rebuilt(WorkerTraceback(self.traceback))

    def _rebuilt(self, trace: WorkerTraceback) -> BaseException:
        error = self._ours(getattr(errors, self.kind)) if self.kind in errors.__all__ else self._foreign()
        error.__cause__ = trace if self.cause is None else self.cause._rebuilt(trace)
        return error

    def _ours(self, cls: type[RealTTSError]) -> RealTTSError:
        error = cls.__new__(cls)
        error.__dict__.update(self.fields)
        if issubclass(cls, StageFailed):
            error.__dict__["attempts"] = self.attempts
        error.args = (error.what,)
        return error

    def _foreign(self) -> BaseException:
        cls = getattr(builtins, self.name, None)
        if isinstance(cls, type) and issubclass(cls, Exception):
            try:
                error = cls(self.message)
            except Exception:  # one that takes more than a message, such as UnicodeDecodeError
                return ForeignError(self.name, self.message)
            if str(error) == self.message:
                return error
        return ForeignError(self.name, self.message)


@dataclass(frozen=True)
class FailureMessage:
    """A `StageError`: what a rung failed with, and where."""

    stage: str
    error: ErrorMessage
    seconds: float = 0.0

    @classmethod
    def of(cls, failure: StageError) -> FailureMessage:
        """Describe a failure."""
        return cls(failure.stage, ErrorMessage.of(failure.error), failure.seconds)

    def failure(self) -> StageError:
        """Make the failure again."""
        return StageError(self.stage, self.error.error(), self.seconds)


def destroys_context(error: BaseException) -> bool:
    """Tell whether an error leaves a CUDA context in which nothing works any more, so that only a new process helps.

    Source: the sticky errors of the CUDA runtime, by their texts in ``cudaGetErrorString`` and their names.
    """
    link: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if link is None:
            return False
        if _STICKY.search(f"{type(link).__name__}: {link}"):
            return True
        link = link.__cause__
    return False


def _fields(error: RealTTSError) -> dict[str, Any]:
    plain = (str, int, float, bool, list, type(None))
    return {name: value for name, value in vars(error).items() if name != "attempts" and isinstance(value, plain)}


def _traceback(error: BaseException) -> str:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return text if len(text) <= LONGEST_TRACEBACK else f"...\n{text[-LONGEST_TRACEBACK:]}"
