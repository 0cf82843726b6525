"""Recordings whose words are known, such as those of people: what a recognizer gets wrong by itself."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from realtts import audio
from realtts.audio.formats import FORMATS
from realtts.bench.quality import SpokenText, quality_record, quality_result
from realtts.documents import DocumentError, read_text
from realtts.errors import InvalidOption
from realtts.listening import find_recognizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from realtts.contract.types import Voice

__all__ = ["Recording", "check_recording", "check_recordings", "read_transcripts"]

_WHO = "realtts check"
_LONGEST_S = 3600.0
_MOST_NAMED = 5
_FORM = "lines of a name and its text, with |, a tab or a space between them"
_APART = re.compile(r"\s*[|\t]\s*")


class Recording(NamedTuple):
    """A recording and its words.

    Attributes:
        path: Its file.
        spoken: What it says.
    """

    path: Path
    spoken: SpokenText


def read_transcripts(folder: Path, table: Path, language: str | None = None) -> tuple[Recording, ...]:
    """Read what the recordings of a folder say.

    Args:
        folder: With the recordings.
        table: A line for each: its name, with or without its suffix, and its text; behind them other accepted
            readings. A ``|``, a tab or, where a line has neither, white space stands between them. So are LJ Speech's
            ``metadata.csv`` and LibriSpeech's ``*.trans.txt``.
        language: BCP 47 tag of all; None: as in `SpokenText`.

    Returns:
        As they stand in the table; recordings that it does not name are left out.

    Raises:
        InvalidOption: The table cannot be read, or names a recording that is not there.
    """
    try:
        lines = read_text(table).splitlines()
    except DocumentError as error:
        raise InvalidOption(f"{table} cannot be read: {error}", who=_WHO, fix=f"give {_FORM}") from error
    files = {name: path for path in sorted(folder.iterdir()) if path.is_file() for name in (path.name, path.stem)
             if path.suffix.lower().lstrip(".") in FORMATS}  # fmt: skip
    recordings, lacking = [], []
    for number, line in enumerate(lines, 1):
        name, *texts = _fields(line)
        if not name:
            continue
        if not texts:
            raise InvalidOption(f"{table}, line {number}: {name!r} has no text", who=_WHO, fix=f"give {_FORM}")
        file = files.get(name) or files.get(Path(name).name)
        if file is None:
            lacking.append(f"{name!r} (line {number})")
        else:
            recordings.append(Recording(file, SpokenText(texts[0], language, tuple(texts[1:]))))
    if lacking or not recordings:
        raise InvalidOption(_lacking(folder, table, lacking), who=_WHO, fix="put them there, or correct the table")
    return tuple(recordings)


def check_recording(
    samples: NDArray[np.float32], sample_rate: int, item: SpokenText, *, recognizer: str | None = None,
    reference: Voice | None = None, name: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Listen to a recording.

    Args:
        samples: float32 of shape (n,) in [-1, 1].
        sample_rate: Hz.
        item: What was to be said.
        recognizer: See `realtts.listening.find_recognizer`.
        reference: Whose voice it should be; None: anybody's.
        name: For the record.

    Returns:
        A record as that of `check_speech`, of one text.

    Raises:
        MissingExtra, CheckpointError: There is no recognizer.
    """
    hearer = find_recognizer(recognizer)
    return quality_record([quality_result(hearer, item, samples, sample_rate, reference)], hearer, [], recording=name)


def check_recordings(
    recordings: Sequence[Recording], *, recognizer: str | None = None, reference: Voice | None = None, name: str = "",
    most_seconds: float = float("inf"), tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Listen to recordings whose words are known: what the recognizer itself gets wrong, if people speak.

    Args:
        recordings: What is listened to.
        recognizer: See `realtts.listening.find_recognizer`.
        reference: Whose voice it should be; None: anybody's.
        name: For the record.
        most_seconds: No recording is begun after that many.
        tell: Receives lines of progress.

    Returns:
        A record as that of `check_speech`, with a text for each.

    Raises:
        MissingExtra, CheckpointError: There is no recognizer.
        VoiceError: A recording cannot be read.
    """
    hearer = find_recognizer(recognizer)
    until = time.monotonic() + most_seconds
    results = []
    for number, (path, spoken) in enumerate(recordings, 1):
        if time.monotonic() > until:
            break
        if tell is not None:
            tell(f"recording {number} of {len(recordings)}")
        samples, sample_rate = audio.read(path, max_seconds=_LONGEST_S)
        results.append({"recording": path.name, **quality_result(hearer, spoken, samples, sample_rate, reference)})
    left = len(recordings) - len(results)
    warnings = [f"{left} of {len(recordings)} recordings were left out, for the time was over"] if left else []
    return quality_record(results, hearer, warnings, recording=name)


def _fields(line: str) -> list[str]:
    """Return the name, the text and the readings of a line, without empty ones behind the name."""
    fields = _APART.split(line.strip())
    if len(fields) == 1:
        fields = line.split(maxsplit=1)
    return [fields[0], *filter(None, fields[1:])] if fields else [""]


def _lacking(folder: Path, table: Path, names: Sequence[str]) -> str:
    if not names:
        return f"{table} names no recording"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{folder} has no recording {', '.join(names[:_MOST_NAMED])}{more}, which {table} names"
