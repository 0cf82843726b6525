"""Requests, chunks, voices, events and log records as parts of frames."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.contract.events import Event
from realtts.contract.types import Chunk, Mark, Request, Voice
from realtts.synthesis.validate import check_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.contract.spec import ProviderSpec

__all__ = [
    "VOICES_KEPT",
    "chunk_from_json",
    "chunk_to_json",
    "event_from_json",
    "event_to_json",
    "record_from_json",
    "record_to_json",
    "request_from_json",
    "request_to_json",
    "samples_from_bytes",
    "samples_to_bytes",
    "voice_from_json",
    "voice_to_json",
]

VOICES_KEPT = 16
"""Recordings that a worker keeps; the least recently used goes first, on both sides alike."""

_WIRE = np.dtype("<f4")


def samples_to_bytes(samples: np.ndarray[Any, Any]) -> memoryview:
    """Samples as they travel: float32, little-endian."""
    if not len(samples):
        return memoryview(b"")  # one of no length cannot be cast
    return np.ascontiguousarray(samples, _WIRE).data.cast("B")


def samples_from_bytes(data: bytearray) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The samples again, of shape (n,), writable; shares the memory.

    Raises:
        ValueError: The bytes are no whole number of samples.
    """
    return np.frombuffer(data, _WIRE).astype(np.float32, copy=False)


def request_to_json(request: Request) -> dict[str, Any]:
    """A request without its voice's samples, which travel once, and without ``cancelled``."""
    voice = request.voice
    options = request.options
    return {
        "text": request.text,
        "voice": None if isinstance(voice, Voice) else voice,
        "recording": voice.digest if isinstance(voice, Voice) else None,
        "language": request.language,
        "seed": request.seed,
        "speed": request.speed,
        "options": {} if options is None else options.model_dump(mode="json", exclude_unset=True),
        "streaming": request.streaming,
    }


def request_from_json(
    content: Mapping[str, Any], spec: ProviderSpec, voices: Mapping[str, Voice], cancelled: Callable[[], bool]
) -> Request:
    """The request again, its options checked by the provider's own class.

    Raises:
        OptionError: An option that only the provider's class can judge is wrong.
    """
    recording = content["recording"]
    return Request(
        text=content["text"],
        voice=voices[recording] if recording is not None else content["voice"],
        language=content["language"],
        seed=content["seed"],
        speed=content["speed"],
        options=check_options(content["options"], spec),
        cancelled=cancelled,
        streaming=content["streaming"],
    )


def voice_to_json(voice: Voice) -> dict[str, Any]:
    """A recording without its samples."""
    return {"digest": voice.digest, "sample_rate": voice.sample_rate, "text": voice.text, "name": voice.name}


def voice_from_json(content: Mapping[str, Any], data: bytearray) -> Voice:
    """The recording again."""
    return Voice(samples_from_bytes(data), content["sample_rate"], content["text"], content["name"])


def chunk_to_json(chunk: Chunk, row: int) -> dict[str, Any]:
    """A chunk without its samples, and whose it is; what is empty is left out."""
    content: dict[str, Any] = {"row": row, "sample_rate": int(chunk.sample_rate)}
    if chunk.marks:
        content["marks"] = [
            [float(mark.start), float(mark.end), int(mark.span[0]), int(mark.span[1]), mark.kind]
            for mark in chunk.marks
        ]
    if chunk.tokens:
        content["tokens"] = int(chunk.tokens)
    if chunk.finish_reason is not None:
        content["finish_reason"] = chunk.finish_reason
    if chunk.warnings:
        content["warnings"] = list(chunk.warnings)
    if chunk.retries:
        content["retries"] = int(chunk.retries)
    return content


def chunk_from_json(content: Mapping[str, Any], data: bytearray) -> tuple[int, Chunk]:
    """Whose chunk it is, and the chunk again."""
    chunk = Chunk(
        samples_from_bytes(data),
        content["sample_rate"],
        marks=tuple(Mark(start, end, (a, b), kind) for start, end, a, b, kind in content.get("marks", ())),
        tokens=content.get("tokens", 0),
        finish_reason=content.get("finish_reason"),
        warnings=tuple(content.get("warnings", ())),
        retries=content.get("retries", 0),
    )
    return content["row"], chunk


def event_to_json(event: Event) -> dict[str, Any]:
    """An event; what JSON has no word for becomes text."""
    content = {"name": event.name, "provider": event.provider, "data": dict(event.data), "at": event.at}
    plain: dict[str, Any] = json.loads(json.dumps(content, default=str))
    return plain


def event_from_json(content: Mapping[str, Any]) -> Event:
    """The event again; its time is that of the machine's monotonic clock, the same in both processes."""
    return Event(content["name"], content["provider"], content["data"], content["at"])


def record_to_json(record: logging.LogRecord) -> dict[str, Any]:
    """A log record with its message and traceback as text."""
    trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else record.exc_text
    return {
        "name": record.name,
        "level": record.levelno,
        "message": record.getMessage(),
        "traceback": trace,
        "created": record.created,
        "where": [record.pathname, record.lineno, record.funcName],
    }


def record_from_json(content: Mapping[str, Any], process: int) -> logging.LogRecord:
    """The record again.

    Args:
        content: What `record_to_json` made.
        process: Number of the worker's process.
    """
    path, line, function = content["where"]
    record = logging.LogRecord(
        content["name"], content["level"], path, line, content["message"], args=None, exc_info=None, func=function
    )
    record.exc_text = content["traceback"]
    record.created, record.process = content["created"], process
    record.processName = "realtts-worker"
    return record


def work_to_json(totals: Mapping[str, Any]) -> dict[str, Any]:
    """What the inner stages of a request did."""
    return {name: asdict(work) for name, work in totals.items()}
