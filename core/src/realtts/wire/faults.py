"""Errors of a worker: the parent raises the same classes, with the worker's traceback as their cause."""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass, field
from typing import Any

from realtts import errors
from realtts.attempt import Attempt
from realtts.documents import jsonable
from realtts.errors import RealTTSError, StageFailed
from realtts.exception_text import (
    attribute_text,
    cause_of,
    describe_error,
    exception_message,
    exception_name,
    format_traceback,
    linked,
)
from realtts.ladder.failures import StageError

__all__ = ["ErrorMessage", "FailureMessage", "ForeignError", "WorkerTraceback", "destroys_context"]

_LONGEST_CHAIN = 8
_TEXTS = ("who", "what", "fix")
_TUPLES = ("stderr", "output")
_UNKNOWN = object()

_OURS = {getattr(errors, name) for name in errors.__all__}
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
        ours = issubclass(type(error), RealTTSError)
        cause = cause_of(error)
        return cls(
            kind=next(base.__name__ for base in type(error).__mro__ if base in _OURS) if ours else None,
            name=exception_name(error),
            message=exception_message(error),
            fields=_fields(error) if ours else {},
            attempts=_attempts(error) if issubclass(type(error), StageFailed) else (),
            cause=cls.of(cause, depth + 1) if cause is not None and depth < _LONGEST_CHAIN else None,
            traceback="" if depth else format_traceback(error),
        )

    def summary(self) -> str:
        """Return the class and the text, on one line each."""
        return f"{self.name.rpartition('.')[2]}: {self.message}"

    def error(self) -> BaseException:
        """Make the error again; its last cause is a `WorkerTraceback`."""
        return self._rebuilt(WorkerTraceback(self.traceback))

    @property
    def ours(self) -> bool:
        """Whether it is one of `realtts.errors`."""
        return self.kind is not None

    def _rebuilt(self, trace: WorkerTraceback) -> BaseException:
        error = self._foreign() if self.kind is None else self._ours(self.kind)
        error.__cause__ = trace if self.cause is None else self.cause._rebuilt(trace)
        return error

    def _ours(self, kind: str) -> RealTTSError:
        # A newer worker may have a class that is not known here.
        cls: type[RealTTSError] = getattr(errors, kind) if kind in errors.__all__ else RealTTSError
        what, who, fix = (str(self.fields.get(name, "")) for name in ("what", "who", "fix"))
        if issubclass(cls, StageFailed):
            return cls(what, who=who, fix=fix, attempts=self.attempts)
        error = cls(what, who=who, fix=fix)
        for name, value in self.fields.items():
            if name not in _TEXTS and _fits(value, getattr(error, name, _UNKNOWN)):
                error.__dict__[name] = tuple(value) if name in _TUPLES else value
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
    origin: str = ""

    @classmethod
    def of(cls, failure: StageError) -> FailureMessage:
        """Describe a failure."""
        return cls(failure.stage, ErrorMessage.of(failure.error), failure.seconds, failure.origin)

    def failure(self) -> StageError:
        """Make the failure again."""
        return StageError(self.stage, self.error.error(), self.seconds, self.origin)


def destroys_context(error: BaseException) -> bool:
    """Tell whether an error leaves a CUDA context in which nothing works any more, so that only a new process helps.

    Source: the sticky errors of the CUDA runtime, by their texts in ``cudaGetErrorString`` and their names.
    """
    return any(_STICKY.search(describe_error(link)) for link in linked(error))


def _attempts(error: BaseException) -> tuple[Attempt, ...]:
    """Return the attempts of a `StageFailed`, of which a plugin may have made a subclass."""
    attempts = vars(error).get("attempts", ())
    return tuple(each for each in attempts if isinstance(each, Attempt)) if isinstance(attempts, tuple) else ()


def _fields(error: BaseException) -> dict[str, Any]:
    """Return what an error says of itself, whatever a plugin's subclass does."""
    plain = (str, int, float, bool, list, tuple, type(None))
    fields: dict[str, Any] = {}
    try:
        for name, value in vars(error).items():
            if name != "attempts" and type(value) in plain:
                fields[name] = jsonable(value)
    except KeyboardInterrupt:
        raise
    except BaseException:  # of objects in a list
        fields = {}
    return {**fields, **{name: attribute_text(error, name) for name in _TEXTS}}


def _fits(value: Any, default: Any) -> bool:
    """Tell whether an attribute may have a value: one that the class knows keeps its type, others are a plugin's."""
    if default is _UNKNOWN:
        return True
    if default is None:  # seconds to wait, an exit code
        return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
    if isinstance(default, tuple):  # last lines
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return type(value) is type(default)
