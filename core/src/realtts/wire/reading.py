"""Reading of frames: the one place where bytes of the other side become messages.

Each side takes only the kinds of frames that the other one may send, and of each only what has the message's types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError

from realtts.contract.events import Event
from realtts.exception_text import plain_text
from realtts.wire.calls import Call, Reply, call_from_json
from realtts.wire.channel import ChannelFault, Frame, Kind
from realtts.wire.faults import ErrorMessage  # noqa: TC001 - pydantic reads the fields' types
from realtts.wire.messages import ChunkMessage, LogMessage, VoiceMessage, from_json, to_json
from realtts.wire.rows import RowMessage, RowOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.contract.types import Voice

__all__ = [
    "Answer",
    "Cancel",
    "Credit",
    "End",
    "Hello",
    "Job",
    "outgoing",
    "read_from_parent",
    "read_from_program",
    "read_from_worker",
]


@dataclass(frozen=True)
class Hello:
    """A greeting: the versions of the core and of Python; of the core only a worker tells."""

    realtts: str
    python: str


@dataclass(frozen=True)
class Credit:
    """So many more chunks of a row of the running call may be sent."""

    row: Annotated[int, Field(ge=0)]
    chunks: Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Cancel:
    """These rows of the running call are cancelled."""

    rows: tuple[Annotated[int, Field(ge=0)], ...]


@dataclass(frozen=True)
class End:
    """No more rows of the running call come, and no more chunks are wanted."""


@dataclass(frozen=True)
class Job:
    """A single piece of work for a child that `realtts.wire.child.serve` serves; ``log_level``: lowest to send."""

    job: Any
    log_level: int


@dataclass(frozen=True)
class Answer:
    """What a single piece of work came to: a result that JSON can hold, or an error."""

    result: Any = None
    error: ErrorMessage | None = None


_BESIDE_BYTES = frozenset({Kind.CHUNK, Kind.VOICE})
"""Frames with raw bytes; all others must have none."""


def read_from_worker(frame: Frame) -> Hello | Reply | ChunkMessage | RowOutcome | Event | LogMessage:
    """Return what a worker says. The samples of a chunk are still the frame's; see `realtts.wire.inbox`.

    Raises:
        ChannelFault: A worker may not send such a frame, or its content is no such message.
    """
    forms = {Kind.REPLY: Reply, Kind.CHUNK: ChunkMessage, Kind.OUTCOME: RowOutcome}
    return _read_form(frame, forms)  # type: ignore[no-any-return]


def read_from_program(frame: Frame) -> Hello | Answer | Event | LogMessage:
    """Return what a child says that does a single piece of work. Raises as `read_from_worker`."""
    return _read_form(frame, {Kind.REPLY: Answer})  # type: ignore[no-any-return]


def read_from_parent(frame: Frame) -> Call | RowMessage | Credit | Cancel | End | Voice:
    """Return what a parent says; a recording comes with its samples.

    Raises:
        ChannelFault: A parent may not send such a frame, or its content is no such message.
    """
    readers: dict[Kind, Callable[[], Any]] = {
        Kind.CALL: lambda: call_from_json(frame.content),
        Kind.ROW: lambda: from_json(RowMessage, frame.content, trusted=True),
        Kind.CREDIT: lambda: from_json(Credit, frame.content, trusted=True),
        Kind.CANCEL: lambda: from_json(Cancel, frame.content, trusted=True),
        Kind.END: lambda: from_json(End, frame.content, trusted=True),
        Kind.VOICE: lambda: from_json(VoiceMessage, frame.content, trusted=True).voice(frame.data),
    }
    if frame.kind not in readers:
        raise ChannelFault(f"a {frame.kind.name}, which only a worker may send")
    return _read(frame, readers[frame.kind])  # type: ignore[no-any-return]


def outgoing(message: Any) -> dict[str, Any]:
    """Return a message as the content of a frame, checked as its receiver will check it.

    What a plugin reports, logs or counts must not end its worker because the parent cannot take it.

    Raises:
        ValueError: The receiver would refuse it.
    """
    content = to_json(message)
    from_json(type(message), content)
    return content


def _read_form(frame: Frame, forms: Mapping[Kind, type]) -> Any:
    forms = {Kind.HELLO: Hello, Kind.EVENT: Event, Kind.LOG: LogMessage, **forms}
    if frame.kind not in forms:
        raise ChannelFault(f"a {frame.kind.name}, which it may not send")
    form = forms[frame.kind]
    # The result of a single piece of work is judged by whom it is for.
    return _read(frame, lambda: from_json(form, frame.content, trusted=form is Answer))


def _read(frame: Frame, read: Callable[[], Any]) -> Any:
    if frame.data and frame.kind not in _BESIDE_BYTES:
        raise ChannelFault(f"a {frame.kind.name} with {len(frame.data)} bytes, which it has none of")
    try:
        return read()
    except (ValueError, TypeError, RecursionError) as error:
        raise ChannelFault(f"a {frame.kind.name} that is none: {_shown(error)}") from error


def _shown(error: Exception) -> str:
    """Return what is wrong in one line; a worker can make pydantic's own text as long as it likes."""
    if not isinstance(error, ValidationError):
        return plain_text(f"{error}"[:200])
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"][:8]))
    return plain_text(f"{place}: {first['msg']}"[:200])
