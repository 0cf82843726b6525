"""The path that a file is written to: checked beforehand, replaced in one step, cleaned up if that fails."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import IO

from realtts.audio.sink import PipeSink, Sink
from realtts.errors import OutputError

__all__ = ["FileTarget", "Target", "write_all"]

_MOST_IN_MEMORY = 32 << 20


class Target:
    """A file to be written.

    Args:
        path: Where the file shall be; a symbolic link is followed, so that the link itself stays.
        live: Write at that path itself; otherwise beside it, under a temporary name.

    Attributes:
        path: As given.
        is_special: It is a device or a pipe, which is written directly whatever ``live`` says.
        is_live: Readers see the audio as it comes.

    Raises:
        OutputError: The file cannot be written there.
    """

    def __init__(self, path: Path, *, live: bool) -> None:
        self.path = path
        self.is_special = False
        try:
            self.is_special = _is_special(path)
            self._final = Path(os.path.realpath(path))
            self._check()
        except (OSError, ValueError) as error:
            raise self._error(error) from error
        self.is_live = live or self.is_special
        self._working = self._final if self.is_live else self._final.with_name(_temporary_name(self._final.name))
        self._sink: Sink | None = None

    @property
    def who(self) -> str:
        """Its name, for messages."""
        return str(self.path)

    @property
    def sink(self) -> Sink:
        """Where the bytes go, once `open` was called."""
        assert self._sink is not None, "open comes first"
        return self._sink

    def open(self) -> None:
        """Begin the file.

        Raises:
            OutputError: It cannot be created.
        """
        try:
            if self.is_special:
                self._sink = PipeSink(self.path.open("wb"))
            else:
                # Not `tempfile`, whose files only their owner may read.
                self._sink = Sink(self._working.open("wb"), live=self.is_live)
        except OSError as error:
            raise self._error(error) from error

    def commit(self) -> None:
        """Move the finished file into place.

        Raises:
            OutputError: The place cannot be written any more, or the disk is full.
        """
        try:
            self.sink.close()
            if self._working == self._final:
                return
            if self._final.exists():
                shutil.copymode(self._final, self._working)
            self._working.replace(self._final)
        except OSError as error:
            raise self._error(error) from error

    def discard(self) -> None:
        """Remove what was begun."""
        with contextlib.suppress(OSError):
            self.sink.close()
        if not self.is_special:
            with contextlib.suppress(OSError):
                self._working.unlink()

    def _check(self) -> None:
        if self.path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        if self.is_special:
            if not os.access(self.path, os.W_OK):
                raise PermissionError(None, "no permission to write there")
            return
        if not self._final.parent.is_dir():
            raise FileNotFoundError(None, f"the folder {self._final.parent} does not exist")
        if self._final.exists() and not os.access(self._final, os.W_OK):
            raise PermissionError(None, "the file is read-only")
        # Creating a file is the only test of a folder that holds on every file system.
        probe = self._final.with_name(_temporary_name(self._final.name))
        probe.touch(exist_ok=False)
        probe.unlink()

    def _error(self, error: OSError | ValueError) -> OutputError:
        reason = getattr(error, "strerror", None) or str(error)
        who = str(self.path).replace("\0", "\\0")
        return OutputError(f"cannot be written: {reason}", who=who, fix=_fix(error))


class FileTarget:
    """An open file that belongs to the caller: written from its position on, only forwards, and never closed.

    Args:
        file: Takes bytes.
        live: Write the audio as it comes, as to a pipe: what a format corrects at its end, such as lengths in a header,
            stays unknown. False: all at once when it is complete; until then it waits in memory, long audio on disk.

    Attributes:
        is_special: True: it has no path to check.
        is_live: As given.
    """

    is_special = True

    def __init__(self, file: IO[bytes], *, live: bool) -> None:
        self._file = file
        self.is_live = live
        self._waiting: IO[bytes] | None = None
        self._sink: Sink | None = None

    @property
    def who(self) -> str:
        """Its name, for messages."""
        return _name_of(self._file)

    @property
    def sink(self) -> Sink:
        """Where the bytes go, once `open` was called."""
        assert self._sink is not None, "open comes first"
        return self._sink

    def open(self) -> None:
        """Begin to write."""
        if self.is_live:
            self._sink = PipeSink(self._file)
        else:
            self._waiting = tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY)  # noqa: SIM115 - closed by commit or discard
            self._sink = Sink(self._waiting)

    def commit(self) -> None:
        """Hand over what waits.

        Raises:
            OutputError: It cannot be written.
        """
        if self._waiting is None:
            self.sink.flush()
            if self.sink.error is not None:
                raise file_error(self.sink.error, self.who)
            return
        with self._waiting as waiting:
            waiting.seek(0)
            while block := waiting.read(1 << 20):
                write_all(self._file, block)

    def discard(self) -> None:
        """Forget what waits; what was written cannot be taken back."""
        if self._waiting is not None:
            self._waiting.close()


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write bytes to a caller's open file, all of them.

    Raises:
        OutputError: It takes text, is closed, or its disk is full.
    """
    rest = memoryview(data)
    try:
        while rest:
            written = file.write(rest)
            # Only the unbuffered files of `io` may write less than they get.
            rest = rest[written or 0 :] if isinstance(file, io.RawIOBase) else rest[len(rest) :]
        if hasattr(file, "flush"):
            file.flush()
    except (OSError, TypeError, ValueError) as error:
        raise file_error(error, _name_of(file)) from error


def _name_of(file: IO[bytes]) -> str:
    name = getattr(file, "name", "")
    return name if isinstance(name, str) and name else "the file object"


def file_error(error: Exception, who: str) -> OutputError:
    """Make the error of a caller's open file that cannot be written."""
    if isinstance(error, TypeError):
        return OutputError(f"it takes no bytes ({error})", who=who, fix='open it in binary mode, "wb"')
    reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
    return OutputError(f"cannot be written: {reason}", who=who, fix="give an open file with room, such as io.BytesIO()")


def _is_special(path: Path) -> bool:
    # A shell may have redirected these to a regular file, which must not be replaced behind its back.
    if str(path).startswith(("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/")):
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _fix(error: OSError | ValueError) -> str:
    if isinstance(error, IsADirectoryError):
        return "add a file name, such as speech.wav"
    if isinstance(error, FileNotFoundError):
        return "create the folder first"
    if isinstance(error, PermissionError):
        return "choose a place that you may write to"
    return "choose another path, or free some disk space"


def _temporary_name(name: str) -> str:
    # Cut short, because the name itself may already be as long as a file system allows.
    return f".{name[:40]}.{secrets.token_hex(6)}.part"
