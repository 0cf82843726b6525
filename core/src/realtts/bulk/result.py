"""What became of a row: an entry of the manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from realtts.exception_text import exception_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.bulk.rows import BadRow, SpeechRow
    from realtts.synthesis.speech import Speech

__all__ = ["RowResult", "failed", "read_result", "spoken"]


@dataclass(frozen=True)
class RowResult:
    """What became of a row. Times are kept elsewhere, so that a job that is repeated gives the same manifest.

    Attributes:
        number: Place in the table, from 1.
        id: The row's.
        file: Audio file in the job's folder; empty: none.
        fingerprint: Of text, voice, seed and whatever else the audio follows from.
        sha256: Of the audio file.
        seed: That it was spoken with.
        duration_s: Seconds of audio.
        sample_rate: Hz.
        provider: Who spoke.
        finish_reason: ``"stop"``, ``"length"``; empty after an error.
        pieces: Number of pieces that the text was split into.
        retries: Pieces that were spoken again.
        warnings: Sentences for the user.
        captions: Subtitle file in the job's folder; empty: none.
        error: Class of the error; empty: none.
        message: What the error says.
        extra: Columns of the table that mean nothing to realtts.
    """

    number: int
    id: str
    file: str = ""
    fingerprint: str = ""
    sha256: str = ""
    seed: int | None = None
    duration_s: float = 0.0
    sample_rate: int = 0
    provider: str = ""
    finish_reason: str = ""
    pieces: int = 0
    retries: int = 0
    warnings: tuple[str, ...] = ()
    captions: str = ""
    error: str = ""
    message: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the manifest; what is empty is left out."""
        kept = {"number", "id", "duration_s"}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name in kept or value not in ("", (), {}, None, 0)
        }


_NUMBERS = {"duration_s": (int, float), "number": int, "pieces": int, "retries": int, "sample_rate": int}
_OTHERS: dict[str, Any] = {"seed": (int, type(None)), "warnings": list, "extra": dict}


def read_result(values: Any) -> RowResult | None:
    """Return the entry of a manifest; None for what is none, such as a line that somebody has edited."""
    if not isinstance(values, dict) or not {"number", "id"} <= values.keys():
        return None
    types = {**dict.fromkeys(RowResult.__dataclass_fields__, str), **_NUMBERS, **_OTHERS}
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, types.get(name, ())):
            return None
    return RowResult(**{**values, "warnings": tuple(map(str, values.get("warnings", ())))})


def spoken(row: SpeechRow, speech: Speech, **files: Any) -> RowResult:
    """Return the result of a row that was spoken.

    Args:
        row: The row.
        speech: What was said.
        **files: ``file``, ``sha256``, ``fingerprint`` and ``captions``.
    """
    return RowResult(
        number=row.number,
        id=row.id,
        seed=speech.seed,
        duration_s=round(speech.duration, 6),
        sample_rate=speech.sample_rate,
        provider=speech.provider,
        finish_reason=speech.finish_reason,
        pieces=speech.metrics.pieces,
        retries=speech.metrics.retries,
        warnings=tuple(speech.warnings),
        extra=row.extra,
        **files,
    )


def failed(row: SpeechRow | BadRow, error: BaseException) -> RowResult:
    """Return the result of a row that could not be spoken."""
    extra = getattr(row, "extra", {})
    return RowResult(row.number, row.id, error=type(error).__name__, message=exception_message(error), extra=extra)
