"""Errors on their way from a worker: the same classes come out, with the worker's traceback as their cause."""

from __future__ import annotations

import builtins
import re
import traceback
from typing import TYPE_CHECKING, Any

from realtts import errors
from realtts.attempt import Attempt
from realtts.errors import RealTTSError, StageFailed
from realtts.ladder.rung import StageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ForeignError", "WorkerTraceback", "error_from_json", "error_to_json", "poisons", "raise_told"]

LONGEST_TRACEBACK = 20_000
_LONGEST_CHAIN = 8
_POISON = re.compile(
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


def poisons(error: BaseException) -> bool:
    """Whether an error leaves a CUDA context behind in which nothing works any more, so that only a new process helps.

    Source: the sticky errors of the CUDA runtime, by their texts in ``cudaGetErrorString`` and their names.
    """
    link: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if link is None:
            return False
        if _POISON.search(f"{type(link).__name__}: {link}"):
            return True
        link = link.__cause__
    return False


def error_to_json(error: BaseException, depth: int = 0) -> dict[str, Any]:
    """Class, fields, causes and traceback of an error, JSON-able.

    A class of ours is sent by its name, a plugin's own subclass of one as the nearest of ours.
    """
    kind = next((cls.__name__ for cls in type(error).__mro__ if cls.__name__ in errors.__all__), None)
    module = type(error).__module__
    cause = error.__cause__
    return {
        "class": kind if isinstance(error, RealTTSError) else None,
        "name": type(error).__qualname__ if module == "builtins" else f"{module}.{type(error).__qualname__}",
        "message": str(error),
        "fields": _fields(error) if isinstance(error, RealTTSError) else {},
        "attempts": [attempt.as_dict() for attempt in error.attempts] if isinstance(error, StageFailed) else [],
        "cause": error_to_json(cause, depth + 1) if cause is not None and depth < _LONGEST_CHAIN else None,
        "traceback": "" if depth else _traceback(error),
    }


def error_from_json(content: Mapping[str, Any]) -> BaseException:
    """The error again; its last cause is a `WorkerTraceback`."""
    return _rebuilt(content, WorkerTraceback(content.get("traceback", "")))


def raise_told(reply: Mapping[str, Any]) -> None:
    """Raise what a reply says went wrong.

    Raises:
        StageError: A stage of the rung failed. Else what the worker raised.
    """
    if "failure" in reply:
        failure = reply["failure"]
        raise StageError(failure["stage"], error_from_json(failure["error"]), failure["seconds"])
    if "error" in reply:
        raise error_from_json(reply["error"])


def _rebuilt(content: Mapping[str, Any], trace: WorkerTraceback) -> BaseException:
    cls = getattr(errors, str(content["class"]), None) if content["class"] in errors.__all__ else None
    error = _foreign(content) if cls is None else _ours(cls, content)
    cause = content.get("cause")
    error.__cause__ = trace if cause is None else _rebuilt(cause, trace)
    return error


def _ours(cls: type[RealTTSError], content: Mapping[str, Any]) -> RealTTSError:
    error = cls.__new__(cls)
    error.__dict__.update(content["fields"])
    if issubclass(cls, StageFailed):
        error.__dict__["attempts"] = tuple(Attempt(**attempt) for attempt in content["attempts"])
    error.args = (error.what,)
    return error


def _foreign(content: Mapping[str, Any]) -> BaseException:
    cls = getattr(builtins, str(content["name"]), None)
    if isinstance(cls, type) and issubclass(cls, Exception):
        try:
            error = cls(content["message"])
        except Exception:  # one that takes more than a message, such as UnicodeDecodeError
            return ForeignError(content["name"], content["message"])
        if str(error) == content["message"]:
            return error
    return ForeignError(content["name"], content["message"])


def _fields(error: RealTTSError) -> dict[str, Any]:
    kept = {name: value for name, value in vars(error).items() if name != "attempts"}
    return {name: value for name, value in kept.items() if isinstance(value, (str, int, float, bool, list, type(None)))}


def _traceback(error: BaseException) -> str:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return text if len(text) <= LONGEST_TRACEBACK else f"...\n{text[-LONGEST_TRACEBACK:]}"
