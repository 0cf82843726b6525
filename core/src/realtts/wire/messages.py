"""Typed content of frames: requests, recordings, chunks and log records, and their way into JSON and back.

Samples travel as raw bytes beside the JSON.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
from pydantic import Field, TypeAdapter

from realtts.contract.delivery import Delivery
from realtts.contract.spec import HIGHEST_RATE, LOWEST_RATE
from realtts.contract.types import Chunk, FinishReason, Mark, Request, Unread, Voice
from realtts.documents import jsonable
from realtts.synthesis.validate import check_options
from realtts.wire.strict import strict_validator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_core import SchemaValidator

    from realtts.contract.spec import ProviderSpec

__all__ = [
    "VOICES_KEPT",
    "ChunkMessage",
    "LogMessage",
    "RequestMessage",
    "VoiceMessage",
    "from_json",
    "samples_from_bytes",
    "samples_to_bytes",
    "to_json",
]

T = TypeVar("T")

VOICES_KEPT = 16
"""Recordings that a worker keeps; the least recently used goes first, on both sides alike."""

_WIRE = np.dtype("<f4")
_LAST_TIME = 253_402_300_799.0
"""The end of the year 9999, in seconds: the last time that every formatter of log records can write."""

_MOST_LOGGERS = 1000
"""Loggers that workers' records may make here: `logging` keeps each, and one for every part of its name, for ever."""


# Building one takes a millisecond.
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}
_VALIDATORS: dict[tuple[type, bool], SchemaValidator] = {}


def to_json(message: Any) -> dict[str, Any]:
    """Return a message, an instance of a dataclass, as the content of a frame."""
    # Senders are held to the types by mypy; what JSON has no word for becomes text in the channel.
    form = type(message)
    if form not in _ADAPTERS:
        _ADAPTERS[form] = TypeAdapter(form)
    content: dict[str, Any] = _ADAPTERS[form].dump_python(message, warnings=False)
    return content


def from_json(form: type[T], content: Mapping[str, Any], *, trusted: bool = False) -> T:
    """Return the message that the content of a frame holds; fields that only a newer version knows are left out.

    Args:
        form: A dataclass.
        content: The content.
        trusted: The sender is the parent, see `realtts.wire.strict`.

    Raises:
        ValueError: A field is missing or has another type; nothing is converted, see `realtts.wire.strict`.
    """
    if (form, trusted) not in _VALIDATORS:
        _VALIDATORS[form, trusted] = strict_validator(form, trusted=trusted)
    message: T = _VALIDATORS[form, trusted].validate_python(content)
    return message


def samples_to_bytes(samples: np.ndarray[Any, Any]) -> memoryview:
    """Return samples as they travel: float32, little-endian."""
    if not len(samples):
        return memoryview(b"")  # one of no length cannot be cast
    return np.ascontiguousarray(samples, _WIRE).data.cast("B")


def samples_from_bytes(data: bytearray) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the samples again, of shape (n,), writable; shares the memory.

    Raises:
        ValueError: The bytes are no whole number of samples.
    """
    return np.frombuffer(data, _WIRE).astype(np.float32, copy=False)


@dataclass(frozen=True)
class RequestMessage:
    """A request without ``cancelled``; a recording is named by its digest, and its samples travel once."""

    text: Annotated[str, Field(min_length=1)]
    voice: str | None
    recording: str | None
    language: str | None
    seed: Annotated[int, Field(ge=0)]
    speed: Annotated[float, Field(gt=0)]
    options: dict[str, Any]
    streaming: bool
    delivery: Delivery = field(default_factory=Delivery)

    @classmethod
    def of(cls, request: Request) -> RequestMessage:
        """Describe a request."""
        values = {field.name: getattr(request, field.name) for field in fields(cls) if field.name != "recording"}
        values["recording"] = None
        if isinstance(request.voice, Voice):
            values["voice"], values["recording"] = None, request.voice.digest
        options = request.options
        values["options"] = {} if options is None else options.model_dump(mode="json", exclude_unset=True)
        return cls(**values)

    def request(self, spec: ProviderSpec, voice: Voice | None, cancelled: Callable[[], bool]) -> Request:
        """Make the request again, its options checked by the provider's own class.

        Args:
            spec: The provider.
            voice: The recording, if it names one.
            cancelled: Tells whether the parent has lost interest.

        Raises:
            OptionError: An option that only the provider's class can judge is wrong.
        """
        values = {name: value for name, value in vars(self).items() if name != "recording"}
        values["voice"] = self.voice if voice is None else voice
        values["options"] = check_options(self.options, spec)
        return Request(**values, cancelled=cancelled)


@dataclass(frozen=True)
class VoiceMessage:
    """A recording without its samples."""

    sample_rate: Annotated[int, Field(ge=LOWEST_RATE, le=HIGHEST_RATE)]
    text: str | None
    name: str

    @classmethod
    def of(cls, voice: Voice) -> VoiceMessage:
        """Describe a recording."""
        return cls(voice.sample_rate, voice.text, voice.name)

    def voice(self, data: bytearray) -> Voice:
        """Make the recording again, with its samples.

        Raises:
            ValueError: They are none, or not finite.
        """
        samples = samples_from_bytes(data)
        if not len(samples) or not np.isfinite(samples).all():
            raise ValueError("the samples of the recording are none, or not finite")
        return Voice(samples, self.sample_rate, self.text, self.name)


@dataclass(frozen=True)
class ChunkMessage:
    """A chunk without its samples, and the row that it belongs to."""

    row: int
    sample_rate: int
    marks: tuple[Mark, ...] = ()
    tokens: int = 0
    finish_reason: FinishReason | None = None
    warnings: tuple[str, ...] = ()
    retries: int = 0
    unread: tuple[Unread, ...] = ()

    @classmethod
    def of(cls, row: int, chunk: Chunk) -> ChunkMessage:
        """Describe a chunk."""
        marks = tuple(
            Mark(float(mark.start), float(mark.end), (int(mark.span[0]), int(mark.span[1])), mark.kind, mark.name)
            for mark in chunk.marks
        )
        rate, tokens, retries = int(chunk.sample_rate), int(chunk.tokens), int(chunk.retries)
        unread = tuple(Unread((int(each.span[0]), int(each.span[1])), each.instead) for each in chunk.unread)
        return cls(row, rate, marks, tokens, chunk.finish_reason, chunk.warnings, retries, unread)

    def chunk(self, data: bytearray) -> Chunk:
        """Make the chunk again, with its samples.

        Raises:
            ValueError: The bytes are no whole number of samples.
        """
        values = {name: value for name, value in vars(self).items() if name != "row"}
        return Chunk(samples_from_bytes(data), **values)


@dataclass(frozen=True)
class LogMessage:
    """A log record, its message and traceback as text; the fields are named as those of `logging.LogRecord`."""

    name: Annotated[str, Field(max_length=500)]
    levelno: Annotated[int, Field(ge=0, le=1000)]
    levelname: str
    msg: str
    exc_text: str | None
    created: Annotated[float, Field(ge=0, le=_LAST_TIME)]
    pathname: str
    lineno: int
    funcName: str | None  # noqa: N815 - logging's name

    @classmethod
    def of(cls, record: logging.LogRecord) -> LogMessage:
        """Describe a record."""
        values = {field.name: getattr(record, field.name) for field in fields(cls)}
        # Libraries make records by hand, too.
        values.update(pathname=str(record.pathname), levelname=str(record.levelname), lineno=int(record.lineno or 0))
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else record.exc_text
        values.update(name=str(record.name)[:500], msg=record.getMessage(), exc_text=trace)
        return cls(**{name: jsonable(value) for name, value in values.items()})

    def handle(self, process: int) -> None:
        """Hand the record to this process's loggers; ``process`` as of `record`."""
        record = self.record(process)
        logger = _logger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)

    def record(self, process: int) -> logging.LogRecord:
        """Make the record again, as of the process of that number."""
        return logging.makeLogRecord({**vars(self), "process": process, "processName": "realtts-worker"})


_made_here: set[str] = set()


def _logger(name: str) -> logging.Logger:
    """Return the logger of a worker's record: that of its name, or beyond `_MOST_LOGGERS` a common one."""
    if name not in logging.Logger.manager.loggerDict and name not in _made_here:
        if len(_made_here) >= _MOST_LOGGERS:
            return logging.getLogger("realtts.worker")
        _made_here.add(name)
    return logging.getLogger(name)
