"""One M4B file of all chapters, with marks that players jump to; written by PyAV, or by the program ffmpeg."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import itertools
import re
import shutil
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.audio.reading import read
from realtts.errors import OutputError
from realtts.folders import PART
from realtts.resample import resample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["can_write", "chapters_of", "write_audiobook"]

_LONGEST_S = 24 * 3600.0
_GAP_S = 1.0
"""Silence between two chapters."""

_PATIENCE_S = 600.0
_SPECIAL = re.compile(r"([=;#\\\n])")  # in a file of facts, as ffmpeg reads it


def can_write() -> bool:
    """Tell whether PyAV is installed, in a version that writes chapters, or ffmpeg."""
    return _has_pyav() or shutil.which("ffmpeg") is not None


def chapters_of(path: Path) -> str:
    """Return the digest of the chapters that an audiobook was written of; empty where there is none."""
    if not path.is_file():
        return ""
    try:
        return _comment_by_pyav(path) if _has_pyav() else _comment_by_ffmpeg(path)
    except (OSError, ValueError, RuntimeError, subprocess.SubprocessError):
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
        lengths, rate = _measure(chapters)
        book = _Book([title for title, _ in chapters], lengths, rate, {"title": title, "comment": digest})
        write = _write_by_pyav if _has_pyav() else _write_by_ffmpeg
        write(part, book, _audio(chapters, rate))
        part.replace(path)
    except (OSError, ValueError, RuntimeError, subprocess.SubprocessError) as error:  # PyAV's are of these kinds too
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OutputError):
            raise
        what = f"the audiobook cannot be written ({getattr(error, 'strerror', None) or error})"
        raise OutputError(what, who=str(path), fix="free some disk space, or reinstall av") from error
    return sum(lengths) / rate


class _Book:
    """What stands in the file beside its audio.

    Args:
        titles: Of the chapters.
        lengths: Of the chapters, in samples.
        rate: Hz.
        facts: Of the whole book.
    """

    def __init__(self, titles: Sequence[str], lengths: Sequence[int], rate: int, facts: dict[str, str]) -> None:
        self.rate, self.facts, self.bit_rate = rate, facts, min(64_000, 4 * rate)
        ends = list(itertools.accumulate(lengths))
        self.chapters = [(title, end - length, end) for title, length, end in zip(titles, lengths, ends, strict=True)]


def _write_by_pyav(part: Path, book: _Book, audio: Iterator[NDArray[np.float32]]) -> None:
    av: Any = importlib.import_module("av")
    with av.open(str(part), "w", format="ipod") as container:
        container.metadata.update(book.facts)
        # The list stands in the file's header, so the lengths are known before the first sample is encoded.
        base = Fraction(1, book.rate)
        container.set_chapters(
            [
                {"id": number, "start": start, "end": end, "time_base": base, "metadata": {"title": title}}
                for number, (title, start, end) in enumerate(book.chapters, start=1)
            ]
        )
        stream = container.add_stream("aac", rate=book.rate, layout="mono")
        stream.bit_rate = book.bit_rate
        position = 0
        for samples in audio:
            frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = book.rate, position
            position += len(samples)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def _write_by_ffmpeg(part: Path, book: _Book, audio: Iterator[NDArray[np.float32]]) -> None:
    lines = [";FFMETADATA1", *(f"{name}={_escaped(value)}" for name, value in book.facts.items())]
    for title, start, end in book.chapters:
        lines += ["[CHAPTER]", f"TIMEBASE=1/{book.rate}", f"START={start}", f"END={end}", f"title={_escaped(title)}"]
    with tempfile.TemporaryDirectory(prefix="realtts-") as folder, tempfile.TemporaryFile() as messages:
        facts = Path(folder, "facts")
        facts.write_text("\n".join([*lines, ""]), encoding="utf-8", newline="\n")
        command = [
            shutil.which("ffmpeg") or "ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(book.rate), "-ac", "1",
            "-i", "pipe:0", "-f", "ffmetadata", "-i", str(facts), "-map", "0:a", "-map_metadata", "1",
            "-map_chapters", "1", "-c:a", "aac", "-b:a", str(book.bit_rate), "-f", "ipod", "-y", str(part),
        ]  # fmt: skip
        with subprocess.Popen(  # noqa: S603 - our own words
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=messages
        ) as process:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it ended, and says why
                for samples in audio:
                    process.stdin.write(samples.astype("<f4").tobytes())
                process.stdin.close()
            code = process.wait(_PATIENCE_S)
        if code != 0:
            messages.seek(0)
            said = messages.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
            message = said[-1] if said else f"ffmpeg ended with code {code}"
            raise RuntimeError(message)


def _comment_by_pyav(path: Path) -> str:
    av: Any = importlib.import_module("av")
    with av.open(str(path)) as container:
        return str(container.metadata.get("comment", ""))


def _comment_by_ffmpeg(path: Path) -> str:
    command = [shutil.which("ffmpeg") or "ffmpeg", "-v", "error", "-i", str(path), "-f", "ffmetadata", "-"]
    said = subprocess.run(command, capture_output=True, check=True, timeout=_PATIENCE_S).stdout  # noqa: S603 - as above
    lines = said.decode("utf-8", "replace").splitlines()
    return next((line.removeprefix("comment=") for line in lines if line.startswith("comment=")), "")


def _has_pyav() -> bool:
    if importlib.util.find_spec("av") is None:
        return False
    return hasattr(importlib.import_module("av").container.OutputContainer, "set_chapters")


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text.replace("\0", ""))


def _measure(chapters: Sequence[tuple[str, Path]]) -> tuple[list[int], int]:
    """Return the samples of every chapter with the gap behind it, and the rate of the first, which all get."""
    rate, lengths = 0, []
    for _, audio in chapters:
        samples, own_rate = read(audio, max_seconds=_LONGEST_S)
        rate = rate or own_rate
        samples = samples if own_rate == rate else resample(samples, own_rate, rate)
        lengths.append(len(samples) + round(_GAP_S * rate))
    return lengths, rate


def _audio(chapters: Sequence[tuple[str, Path]], rate: int) -> Iterator[NDArray[np.float32]]:
    """Yield the samples of each chapter, and of the gap behind it."""
    for _, audio in chapters:
        samples, own_rate = read(audio, max_seconds=_LONGEST_S)
        yield np.ascontiguousarray(samples if own_rate == rate else resample(samples, own_rate, rate))
        yield np.zeros(round(_GAP_S * rate), np.float32)
