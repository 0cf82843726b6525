"""The record of a rung that was given up, from the failure that ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.attempt import Attempt
from realtts.errors import RealTTSError
from realtts.exception_text import attribute_text, exception_message, exception_name, format_traceback
from realtts.ladder.failures import Unavailable
from realtts.ladder.remedies import Remedy, find_remedy

if TYPE_CHECKING:
    from realtts.ladder.failures import StageError

__all__ = ["attempt_of"]


def attempt_of(rung: str, variant: str, failure: StageError) -> Attempt:
    """Make the record of a rung that was given up."""
    error, cls = failure.error, type(failure.error)
    if issubclass(cls, Unavailable):
        remedy = Remedy("Nothing to do: this rung is not for this machine and these settings.")
        name, trace = "Unavailable", ""
    else:
        remedy = find_remedy(error, failure.stage, variant)
        name, trace = exception_name(error), format_traceback(error)
    message, sentence, origin = exception_message(error), remedy.sentence, failure.origin
    if issubclass(cls, RealTTSError):
        origin = ""
        # Our own errors bring their fix; the rest of the sentence is said elsewhere.
        message, fix = attribute_text(error, "what") or message, attribute_text(error, "fix")
        sentence = f"{fix}." if fix else sentence
    return Attempt(
        rung=rung,
        variant=variant,
        stage=failure.stage,
        exception=name,
        message=message or "it gives no message",
        traceback=trace,
        remedy=sentence,
        seconds=failure.seconds,
        retryable=remedy.retryable,
        origin=origin,
    )
