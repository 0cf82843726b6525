"""Audio written to files: whole or not at all, or as it comes."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from realtts.audio.aac import check_aac
from realtts.audio.encoder import Encoder
from realtts.audio.formats import Format, by_name, by_suffix, check_subtype, name_by_suffix
from realtts.audio.sink import Sink
from realtts.audio.target import FileTarget, Target, write_all
from realtts.errors import OutputError
from realtts.exception_text import shown

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, TypeIs

__all__ = ["Writer", "encode", "open_writer", "write"]

Samples = NDArray[np.float32]


def write(
    target: str | os.PathLike[str] | IO[bytes],
    samples: Samples,
    sample_rate: int,
    *,
    format: str | None = None,  # noqa: A002 - the word users know
    subtype: str | None = None,
) -> None:
    """Write audio to a file, whole or not at all: an older file survives every failure.

    Args:
        target: A path, or a file object that takes bytes, such as `io.BytesIO`: it gets them at its position, all at
            once, and is left open.
        samples: float32 of shape (n,); clipped to [-1, 1] where the encoding is not floating point.
        sample_rate: Hz. Formats that lack it get the next higher rate that they have.
        format: ``"wav"``, ``"flac"``, ``"ogg"`` and ``"opus"`` (Opus), ``"mp3"``, ``"m4a"`` or ``"aac"``. None: that
            of the path's suffix; of a file object that of its ``name``, else WAV.
        subtype: Encoding as soundfile calls it, such as ``"FLOAT"``; default 16-bit PCM where the format has
            it.

    Raises:
        OutputError: Unknown format, suffix or subtype, missing folder, no permission, disk full, samples that are no
            audio, AAC without PyAV or ffmpeg.
    """
    if _is_file(target):
        data = encode(samples, sample_rate, format or name_by_suffix(getattr(target, "name", "")), subtype=subtype)
        write_all(target, data)
        return
    with open_writer(target, sample_rate, format=format, subtype=subtype) as writer:
        writer.write(samples)


def encode(
    samples: Samples,
    sample_rate: int,
    format: str,  # noqa: A002 - the word users know
    *,
    subtype: str | None = None,
) -> bytes:
    """Encode an audio file and return its bytes.

    Args:
        samples: float32 of shape (n,).
        sample_rate: Hz.
        format: ``"wav"``, ``"flac"``, ``"ogg"``, ``"opus"``, ``"mp3"``, ``"m4a"`` or ``"aac"``.
        subtype: Encoding, as for `write`.

    Raises:
        OutputError: Unknown format or subtype, samples that are no audio, AAC without PyAV or ffmpeg.
    """
    file_format, who = by_name(format), f"format {shown(format)}"
    buffer = io.BytesIO()
    chosen = check_subtype(file_format, subtype, who)
    encoder = Encoder(Sink(buffer), file_format, chosen, sample_rate, who=who)
    try:
        encoder.write(_checked(samples, who))
        encoder.close()
    finally:
        encoder.drop()
    return buffer.getvalue()


def open_writer(
    target: str | os.PathLike[str] | IO[bytes],
    sample_rate: int | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the word users know
    subtype: str | None = None,
    live: bool = False,
) -> Writer:
    """Prepare a file to be written piece by piece.

    Args:
        target: As for `write`. Special files (``/dev/stdout``, named pipes) are written directly; one without a suffix
            gets WAV.
        sample_rate: Hz, or None when it becomes known with the first samples.
        format: As for `write`.
        subtype: Encoding, as for `write`.
        live: Write at the final path, or to the file object, as the audio comes, instead of when it is complete.

    Raises:
        OutputError: The target cannot be written. Nothing is left behind.
    """
    place: Target | FileTarget
    given: object = target  # callers' types are theirs to check, or not
    if _is_file(target):
        place = FileTarget(target, live=live)
        file_format = by_name(format or name_by_suffix(getattr(target, "name", "")))
    elif not isinstance(given, (str, os.PathLike)) or not isinstance(os.fspath(given), str):
        raise OutputError(
            f"it is {type(given).__name__}", who="target", fix="give a path, or a file object that takes bytes"
        )
    else:
        path = Path(target)
        place = Target(path, live=live)
        if format is not None:
            file_format = by_name(format)
        else:
            file_format = by_name("wav") if place.is_special and not path.suffix else by_suffix(path)
    if file_format.is_aac:
        check_aac(place.who)
    return Writer(place, file_format, check_subtype(file_format, subtype, place.who), sample_rate)


def _is_file(target: object) -> TypeIs[IO[bytes]]:
    return hasattr(target, "write") and not isinstance(target, Path)


class Writer:
    """A file that is being written; made by `open_writer`.

    As a context manager it closes the file on a clean exit and aborts on an exception. Until the first
    `write` there is no file, so a writer that is closed without one leaves an older file alone.

    Attributes:
        written: Samples so far, at the rate in which they were given.
    """

    def __init__(self, target: Target | FileTarget, file_format: Format, subtype: str, sample_rate: int | None) -> None:
        self._target = target
        self._format = file_format
        self._subtype = subtype
        self._rate = sample_rate
        self._encoder: Encoder | None = None
        self._done = False
        self.written = 0

    @property
    def duration(self) -> float:
        """Seconds so far."""
        return self.written / self._rate if self._rate else 0.0

    def write(self, samples: Samples, sample_rate: int | None = None) -> None:
        """Append samples.

        Args:
            samples: float32 of shape (n,).
            sample_rate: Hz; needed with the first samples where `open_writer` was not told, and then always
                the same.

        Raises:
            OutputError: The disk is full, the file would become too long for its format, the rate changed, or
                the samples are no audio.
        """
        checked = _checked(samples, self._who)
        if self._done:
            raise OutputError("the file is closed", who=self._who, fix="open a new writer")
        encoder = self._encoder or self._begin(sample_rate)
        if sample_rate not in {None, self._rate}:
            raise OutputError(
                f"the sample rate changed from {self._rate} to {sample_rate} Hz",
                who=self._who,
                fix="resample with realtts.resample, or write another file",
            )
        encoder.write(checked)
        if self._target.is_live:
            encoder.flush()
        self.written += len(checked)

    def close(self) -> None:
        """Finish the file and move it into place.

        Raises:
            OutputError: The disk is full, or the target was taken away. What was begun is removed.
        """
        if self._done:
            return
        self._done = True
        if self._encoder is None:
            return
        try:
            self._encoder.close()
            self._target.commit()
        except BaseException:
            self._target.discard()
            raise

    def abort(self) -> None:
        """Remove what was begun; an older file stays (unless ``live``, which overwrote it)."""
        if self._done:
            return
        self._done = True
        if self._encoder is not None:
            self._encoder.drop()
            self._target.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @property
    def _who(self) -> str:
        return self._target.who

    def _begin(self, sample_rate: int | None) -> Encoder:
        rate = sample_rate if self._rate is None else self._rate
        if rate is None or rate < 1:
            what = "not known" if rate is None else f"{rate} Hz"
            raise OutputError(f"the sample rate is {what}", who=self._who, fix="pass sample_rate, in Hz")
        self._target.open()
        try:
            self._encoder = Encoder(self._target.sink, self._format, self._subtype, rate, who=self._who)
        except BaseException:
            self._target.discard()
            raise
        self._rate = rate
        return self._encoder


def _checked(samples: Samples, who: str) -> Samples:
    checked = np.asarray(samples)
    if checked.ndim != 1 or checked.dtype.kind != "f":
        raise OutputError(
            f"the samples are {checked.dtype} of shape {checked.shape}",
            who=who,
            fix="pass float32 of shape (n,)",
        )
    if not np.isfinite(checked).all():
        raise OutputError("the samples hold NaN or infinity", who=who, fix="look for the fault in what made them")
    return np.ascontiguousarray(checked, np.float32)
