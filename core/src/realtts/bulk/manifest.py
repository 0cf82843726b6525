"""A job's folder: audio files, the manifest that says what they are, and a log of times.

What was spoken is never lost and never spoken twice, whenever the process is killed. A row's audio is written and
synced under a temporary name, then its entry is appended to the manifest and synced, then the audio gets its name. An
entry whose audio still has its temporary name is finished when the job goes on; audio without an entry is removed. When
the job is complete, what its rows had before and have no more is removed too: audio of a text that cannot be spoken any
longer, or of another format. What belongs to rows that the table has no more stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import IO, TYPE_CHECKING, Any

from realtts.bulk.result import read_result
from realtts.documents import parse_json
from realtts.errors import OutputError
from realtts.folders import PART, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from realtts.bulk.result import RowResult

__all__ = ["LOG", "MANIFEST", "Manifest", "part_path", "write_synced"]

MANIFEST = "manifest.jsonl"
LOG = "log.jsonl"


class Manifest:
    """The entries of a job, of which each is on the disk before the next row is.

    Args:
        folder: The job's, which exists.

    Attributes:
        entries: The last result of every row that was spoken, by its file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.entries: dict[str, RowResult] = {}
        for result in self._read():
            if result.file and self._finish(result):
                self.entries[result.file] = result
        self._before = tuple(self.entries.values())
        for left in folder.glob(f"*{PART}"):
            with contextlib.suppress(OSError):
                left.unlink()
        # Without what was torn off in the middle or lost its audio, so that lines are only ever added to whole ones.
        self._replace(self.entries.values())
        with self._writing():
            self._file: IO[bytes] = self._path.open("ab")
            self._log: IO[bytes] = (folder / LOG).open("ab")

    @property
    def _path(self) -> Path:
        return self._folder / MANIFEST

    def add(self, result: RowResult, **times: Any) -> None:
        """Add a row's result and give its audio the final name.

        Args:
            result: What became of the row.
            **times: For the log, which may lose its last lines.

        Raises:
            OutputError: The disk is full, or the folder is gone.
        """
        with self._writing():
            _append(self._file, result.as_dict())
            os.fsync(self._file.fileno())
            if result.file:
                part_path(self._folder / result.file).replace(self._folder / result.file)
                self.entries[result.file] = result
            _append(self._log, {"number": result.number, "id": result.id, **times})

    def complete(self, results: Sequence[RowResult]) -> None:
        """Write the entries anew in the table's order, and remove what rows have no more.

        Raises:
            OutputError: The disk is full.
        """
        self.close()
        self._replace(results)
        files = {name for result in results for name in (result.file, result.captions)}
        rows = {result.id for result in results}
        for old in self._before:
            for name in {old.file, old.captions} - files if old.id in rows else ():
                with contextlib.suppress(OSError, ValueError):
                    if name == os.path.basename(name):  # noqa: PTH119 - an entry that was edited points elsewhere
                        (self._folder / name).unlink()

    def close(self) -> None:
        """Close the files. May be called again."""
        for file in (self._file, self._log):
            with contextlib.suppress(OSError):
                file.close()

    def _replace(self, results: Iterable[RowResult]) -> None:
        lines = (_line(result.as_dict()) for result in results)
        with self._writing():
            write_whole(self._path, b"".join(lines), sync=True)

    def _read(self) -> Iterator[RowResult]:
        """Yield the entries so far; a line that is torn or foreign is none."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise _error(self._path, error) from error
        for line in lines:
            try:
                result = read_result(parse_json(line.decode()))
            except ValueError:
                continue
            if result is not None:
                yield result

    def _finish(self, result: RowResult) -> bool:
        """Give audio its name that was written before the process was killed; tell whether it is there."""
        final = self._folder / result.file
        if final.name != result.file:
            return False  # an entry that was edited to point elsewhere
        part = part_path(final)
        # The temporary one first: a row that was spoken anew has its old audio beside it.
        with contextlib.suppress(OSError, ValueError):
            if hashlib.sha256(part.read_bytes()).hexdigest() == result.sha256:
                part.replace(final)
        return final.is_file()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _error(self._folder, error) from error


def part_path(path: Path) -> Path:
    """Return the temporary name of an audio file."""
    return path.with_name(f".{path.name}{PART}")


def write_synced(path: Path, content: bytes) -> None:
    """Write a file under its temporary name, and wait until it is on the disk.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with part_path(path).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _error(path, error) from error


def _append(file: IO[bytes], values: dict[str, Any]) -> None:
    file.write(_line(values))
    file.flush()


def _line(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, ensure_ascii=False, default=str) + "\n").encode("utf-8", "backslashreplace")


def _error(path: Path, error: OSError) -> OutputError:
    what = f"cannot be written: {error.strerror or error}"
    return OutputError(what, who=str(path), fix="free some disk space, or choose another folder; --resume goes on")
