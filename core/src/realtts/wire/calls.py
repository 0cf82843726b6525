"""What a parent asks of a worker, and the worker's reply."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from realtts.attempt import Attempt  # noqa: TC001 - pydantic reads the fields' types, here and below
from realtts.contract.spec import Checkpoint  # noqa: TC001
from realtts.contract.types import VoiceInfo  # noqa: TC001
from realtts.wire.faults import ErrorMessage, FailureMessage  # noqa: TC001
from realtts.wire.strict import strict_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Call",
    "Close",
    "GiveUp",
    "LadderState",
    "ListVoices",
    "Load",
    "Reply",
    "RungState",
    "Setup",
    "Speak",
    "Stop",
    "call_from_json",
]


@dataclass(frozen=True)
class Setup:
    """The first call: make a ladder.

    Attributes:
        spec: From `realtts.wire.specs.spec_to_json`.
        settings: The settings that were set; ``sources`` says where.
        checkpoint: What to load.
        attempts, given_up: Of the workers before this one, which the ladder goes on from.
        log_level: Lowest level of records to send.
    """

    spec: dict[str, Any]
    settings: dict[str, Any]
    sources: dict[str, str]
    checkpoint: Checkpoint | None
    attempts: tuple[Attempt, ...]
    given_up: dict[int, bool]
    log_level: int
    call: Literal["setup"] = "setup"


@dataclass(frozen=True)
class Load:
    """Load a rung unless one is loaded; ``begin``: for a new request, see `realtts.ladder.ladder.Ladder.begin`."""

    begin: bool
    log_level: int
    call: Literal["load"] = "load"


@dataclass(frozen=True)
class GiveUp:
    """Give up the live rung; None: because of the failure that the worker has reported last."""

    failure: FailureMessage | None
    call: Literal["give_up"] = "give_up"


@dataclass(frozen=True)
class Close:
    """Give up a rung on which workers before this one have crashed."""

    variant: str
    rung: str
    failure: FailureMessage
    call: Literal["close"] = "close"


@dataclass(frozen=True)
class ListVoices:
    """List the built-in voices; without ``load`` only if the plugin can name them without the model."""

    load: bool
    call: Literal["voices"] = "voices"


@dataclass(frozen=True)
class Speak:
    """Speak the rows that follow, each in a message of its own.

    Attributes:
        rows: Rows to wait for before the first one is spoken.
        joins: Whether further rows may join until the parent says that no more come; the reply follows then. Else it
            follows the end of the last row.
        log_level: Lowest level of records to send.
        window: Chunks of a row that may be sent before the parent asks for more of it.
    """

    rows: Annotated[int, Field(ge=1, le=65536)]
    joins: bool
    log_level: int
    window: Annotated[int, Field(ge=1)]
    call: Literal["speak"] = "speak"


@dataclass(frozen=True)
class Stop:
    """Unload and end; ``forget`` as of `realtts.ladder.ladder.Ladder.unload`."""

    forget: bool
    call: Literal["stop"] = "stop"


Call = Setup | Load | GiveUp | Close | ListVoices | Speak | Stop

_CALL = strict_validator(Annotated[Call, Field(discriminator="call")], trusted=True)


def call_from_json(content: Mapping[str, Any]) -> Call:
    """Return the call that the content of a frame holds.

    Raises:
        ValueError: There is no such call, or a field of it is missing or has another type.
    """
    call: Call = _CALL.validate_python(content)
    return call


@dataclass(frozen=True)
class RungState:
    """The live rung of a worker's ladder.

    Attributes:
        places: Most rows that it speaks at a time.
        joins: Whether rows may join while others are spoken.
        last: No other rung is open, so this one cannot be closed.
    """

    variant: Annotated[str, Field(pattern="^(optimized|plain)$")]
    rung: str
    device: str
    dtype: str
    changes: dict[str, Any]
    timings: dict[str, float]
    places: Annotated[int, Field(ge=1, le=65536)]
    joins: bool
    last: bool


@dataclass(frozen=True)
class LadderState:
    """A worker's ladder, as far as the parent shows it or hands it to the next worker."""

    attempts: tuple[Attempt, ...]
    given_up: dict[int, bool]
    details: dict[str, Any]
    live: RungState | None


@dataclass(frozen=True)
class Reply:
    """What came of a call.

    Attributes:
        error: What was raised, but for a failure of the rung.
        failure: The failure of the rung.
        versions: After `Setup`: of the packages there.
        closed: After `Close`: whether the rung was given up; not, when it is the last one that is open.
        voices: After `ListVoices`; None: only the model knows them.
        poisoned: Whether CUDA works no more in the worker.
        cache: Counters of the voice cache.
        device_memory: Bytes on the device; None while nothing is loaded on a GPU.
        ladder: The ladder, if it has changed since the last reply.
    """

    error: ErrorMessage | None = None
    failure: FailureMessage | None = None
    versions: dict[str, str | None] = field(default_factory=dict)
    closed: bool = False
    voices: tuple[VoiceInfo, ...] | None = None
    poisoned: bool = False
    cache: dict[str, int] | None = None
    device_memory: dict[str, int] | None = None
    ladder: LadderState | None = None

    def check(self) -> None:
        """Raise what went wrong in the worker.

        Raises:
            StageError: A stage of the rung failed. Else what the worker raised.
        """
        if self.failure is not None:
            raise self.failure.failure()
        if self.error is not None:
            raise self.error.error()
