"""Failures of a rung: what a stage raised, and what passes through because it is no failure of the rung."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from realtts.errors import CheckpointError, InputError, SettingsError
from realtts.exception_text import can_be_shown, origin_of
from realtts.machine import memory

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CLOSE", "PASSED_ON", "LoadAborted", "StageError", "Unavailable", "failing", "is_passed_on"]

CLOSE = "close"
"""The stage of a failure that came when the audio was complete: the iterator's ``close`` raised."""


class LoadAborted(Exception):
    """Nobody wants the load any more, because the provider closes; raised between two stages."""


PASSED_ON = (
    InputError,
    SettingsError,
    CheckpointError,
    LoadAborted,
    KeyboardInterrupt,
    asyncio.CancelledError,
)
"""Raised as they are, no rung is given up for them: the caller's own mistakes, weights that no rung can have, and what
ends the work. Everything else that a plugin raises is a failure of its rung, be it no `Exception`: foreign code raises
`SystemExit`, and panics of compiled code derive from `BaseException`."""


class StageError(Exception):
    """A stage of a rung failed; ``__cause__`` is the provider's exception.

    Args:
        stage: Where.
        error: The provider's exception.
        seconds: Time spent on the stage, or on the rung while it is being loaded.
        origin: Where, as `origin_of` gives it; None: as the exception's own traceback tells.
    """

    def __init__(self, stage: str, error: BaseException, seconds: float = 0.0, origin: str | None = None) -> None:
        super().__init__(stage)
        self.stage = stage
        self.seconds = seconds
        self.origin = origin_of(error) if origin is None else origin
        self.__cause__ = error

    @property
    def error(self) -> BaseException:
        """The provider's exception."""
        assert self.__cause__ is not None
        return self.__cause__


class Unavailable(Exception):
    """The reason of a probe that refused, as an exception."""


@contextlib.contextmanager
def failing(stage: str) -> Iterator[None]:
    """Run foreign code of a stage.

    Raises:
        StageError: It raised anything but what is passed on.
    """
    try:
        yield
    except BaseException as error:
        if not is_passed_on(error):
            raise StageError(stage, error) from error
        memory.clear_frames(error)  # the caller may keep the error, but not the model with it
        raise


def is_passed_on(error: BaseException) -> bool:
    """Tell whether an error is raised as it is: of `PASSED_ON`, and not a plugin's subclass that cannot be shown."""
    # `isinstance` asks the object too, which may raise.
    return issubclass(type(error), PASSED_ON) and can_be_shown(error)
