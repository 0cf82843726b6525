"""Rows of a call to speak: how they come to a worker, and what it says at the end of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from realtts.contract.continuous import RowEnd, RowFailed
from realtts.contract.stages import StageWork  # noqa: TC001 - pydantic reads the fields' types, here and below
from realtts.contract.types import FinishReason  # noqa: TC001
from realtts.wire.faults import ErrorMessage  # noqa: TC001
from realtts.wire.messages import RequestMessage  # noqa: TC001

__all__ = ["RowMessage", "RowOutcome"]


@dataclass(frozen=True)
class RowMessage:
    """A row that joins the running call.

    Attributes:
        row: Its number, which no other row of this worker ever has.
        caller: Number of the caller's request that it belongs to; rows of one request share their stages' work.
        request: What to speak.
    """

    row: Annotated[int, Field(ge=0)]
    caller: Annotated[int, Field(ge=0)]
    request: RequestMessage


@dataclass(frozen=True)
class RowOutcome:
    """The end of a row, behind its chunks.

    Attributes:
        row: Its number.
        reason: How it ended, as of `realtts.contract.continuous.RowEnd`.
        error: Why it failed; None: it has not.
        work: What the inner stages did for its caller's request since the last end of one of its rows.
    """

    row: Annotated[int, Field(ge=0)]
    reason: FinishReason | None = None
    error: ErrorMessage | None = None
    work: dict[str, StageWork] = field(default_factory=dict)

    def item(self) -> RowEnd | RowFailed:
        """Return it as a provider yields it."""
        return RowEnd(self.reason) if self.error is None else RowFailed(self.error.error())
