"""One M4B file of all chapters, with marks that players jump to; written by PyAV."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.audio.reading import read
from realtts.errors import OutputError
from realtts.folders import PART
from realtts.resample import resample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["can_write", "chapters_of", "write_audiobook"]

_LONGEST_S = 24 * 3600.0
_GAP_S = 1.0
"""Silence between two chapters."""


def can_write() -> bool:
    """Tell whether PyAV is installed, in a version that writes chapters."""
    if importlib.util.find_spec("av") is None:
        return False
    output = importlib.import_module("av").container.OutputContainer
    return hasattr(output, "set_chapters")


def chapters_of(path: Path) -> str:
    """Return the digest of the chapters that an audiobook was written of; empty where there is none."""
    av: Any = importlib.import_module("av")
    try:
        with av.open(str(path)) as container:
            return str(container.metadata.get("comment", ""))
    except (OSError, ValueError, RuntimeError):
        return ""


def write_audiobook(path: Path, chapters: Sequence[tuple[str, Path]], *, title: str, digest: str = "") -> float:
    """Write the chapters into one file, whole or not at all.

    Args:
        path: The ``.m4b`` file; an older one is replaced.
        chapters: Title and audio file of each, in order.
        title: The book's.
        digest: Of the chapters, for `chapters_of`.

    Returns:
        Seconds of audio.

    Raises:
        OutputError: It cannot be written.
    """
    part = path.with_name(f".{path.name}{PART}")
    try:
        seconds = _write(part, chapters, {"title": title, "comment": digest})
        part.replace(path)
    except (OSError, ValueError, RuntimeError) as error:  # PyAV's errors are of these kinds too
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OutputError):
            raise
        what = f"the audiobook cannot be written ({getattr(error, 'strerror', None) or error})"
        raise OutputError(what, who=str(path), fix="free some disk space, or reinstall av") from error
    return seconds


def _write(part: Path, chapters: Sequence[tuple[str, Path]], metadata: dict[str, str]) -> float:
    av: Any = importlib.import_module("av")
    lengths, rate = _measure(chapters)
    ends = list(itertools.accumulate(lengths))
    with av.open(str(part), "w", format="ipod") as container:
        container.metadata.update(metadata)
        # The list stands in the file's header, so the lengths are known before the first sample is encoded.
        container.set_chapters(
            [
                {"id": number, "start": end - length, "end": end, "time_base": Fraction(1, rate),
                 "metadata": {"title": name}}
                for number, ((name, _), length, end) in enumerate(zip(chapters, lengths, ends, strict=True), start=1)
            ]
        )  # fmt: skip
        stream = container.add_stream("aac", rate=rate, layout="mono")
        stream.bit_rate = min(64_000, 4 * rate)
        position = 0
        for _, audio in chapters:
            for samples in (_samples(audio, rate), np.zeros(round(_GAP_S * rate), np.float32)):
                frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
                frame.sample_rate, frame.pts = rate, position
                position += len(samples)
                for packet in stream.encode(frame):
                    container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return position / rate


def _measure(chapters: Sequence[tuple[str, Path]]) -> tuple[list[int], int]:
    """Return the samples of every chapter with the gap behind it, and the rate of the first, which all get."""
    rate, lengths = 0, []
    for _, audio in chapters:
        samples, own_rate = read(audio, max_seconds=_LONGEST_S)
        rate = rate or own_rate
        samples = samples if own_rate == rate else resample(samples, own_rate, rate)
        lengths.append(len(samples) + round(_GAP_S * rate))
    return lengths, rate


def _samples(audio: Path, rate: int) -> NDArray[np.float32]:
    samples, own_rate = read(audio, max_seconds=_LONGEST_S)
    return np.ascontiguousarray(samples if own_rate == rate else resample(samples, own_rate, rate))
