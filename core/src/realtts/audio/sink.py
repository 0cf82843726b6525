"""Where encoded bytes go: a file object that remembers its first error instead of raising it.

libsndfile calls back into Python to write; an exception there would be printed and lost, so the writer asks
afterwards.
"""

from __future__ import annotations

import os
import struct
from typing import IO

__all__ = ["PipeSink", "Sink"]

_UNKNOWN_LENGTH = struct.pack("<I", 0xFFFFFFFF)


class Sink:
    """A seekable binary file for libsndfile.

    Args:
        file: Where the bytes go.
        live: Somebody may read the file before it is finished. Until the lengths in a WAV header are known they
            are then written as unknown, which players take as "until the end".

    Attributes:
        error: The first error of the file system, if there was one.
        live: As given.
    """

    def __init__(self, file: IO[bytes], *, live: bool = False) -> None:
        self._file = file
        self.live = live
        self._open_ended = live
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of it; after an error nothing is written any more."""
        if self._open_ended and data[:4] == b"RIFF":
            self._open_ended = False  # the next header is the final one
            data = _open_ended(data)
        if self.error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # what was buffered is written first
            self.error = self.error or error
            return self._file.tell()

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._file.tell()

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        try:
            self._file.flush()
        except OSError as error:
            self.error = self.error or error

    def close(self) -> None:
        """Close the file.

        Raises:
            OSError: What was left could not be written.
        """
        self._file.close()


class PipeSink(Sink):
    """A sink that cannot go back: what libsndfile corrects later, in the header, is left as it was.

    The lengths in a WAV header stay unknown.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, live=True)
        self._position = 0
        self._end = 0

    def write(self, data: bytes) -> int:
        """Write what lies behind everything that was written before."""
        fresh = data[max(0, self._end - self._position) :]
        self._position += len(data)
        if fresh:
            self._end = self._position
            super().write(fresh)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Note the position; a pipe cannot move."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position


def _open_ended(header: bytes) -> bytes:
    """Make a WAV header with both lengths unknown."""
    head, mark, rest = header.partition(b"data")
    return head[:4] + _UNKNOWN_LENGTH + head[8:] + mark + _UNKNOWN_LENGTH + rest[4:]
