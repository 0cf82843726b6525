"""Where the text of ``realtts say`` comes from: checked as a whole first, then read again block by block."""

from __future__ import annotations

import codecs
import io
import sys
from typing import TYPE_CHECKING, TextIO

from realtts.errors import InvalidText, TextTooLong
from realtts.text import blocks, check_text, is_speakable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FileSource", "Source", "TextSource", "find_source"]

_READ_CHARS = 1 << 16


class Source:
    """A text of any length that can be read twice.

    Args:
        who: Where it comes from, for messages.

    Attributes:
        chars: Characters of the whole text, known after `check`.
    """

    def __init__(self, who: str) -> None:
        self.who = who
        self.chars = 0

    def open(self) -> TextIO:
        """Open the text at its start."""
        raise NotImplementedError

    def check(self, max_chars: int) -> None:
        """Read all of it once, in bounded memory.

        Raises:
            TextError: The text cannot be spoken; so nothing of it is.
        """
        self.chars = 0
        lines = 1
        blank = ""  # something to complain of, when nothing can be said
        speakable = False
        with self.open() as stream:
            while part := self._read(stream):
                if "\0" in part:
                    line = lines + part.count("\n", 0, part.index("\0"))
                    raise InvalidText(f"the text holds a NUL in line {line}", who=self.who, fix="remove it")
                self.chars += len(part)
                lines += part.count("\n")
                if self.chars > max_chars:
                    raise TextTooLong(
                        f"the text has more than {max_chars:,} characters",
                        who=self.who,
                        fix="raise --max-chars, or speak it in parts",
                    )
                speakable = speakable or is_speakable(part)
                blank = blank.strip() or part
        if not speakable:
            check_text(blank, max_chars=max_chars, who=self.who)

    def blocks(self, max_chars: int, language: str | None = None) -> Iterator[str]:
        """Yield the text in blocks that are spoken one after the other."""
        with self.open() as stream:
            yield from blocks(stream, max_chars, language)

    def _read(self, stream: TextIO) -> str:
        try:
            return stream.read(_READ_CHARS)
        except UnicodeDecodeError as error:
            raise _not_utf8(error, self.who) from None


class TextSource(Source):
    """A text in memory."""

    def __init__(self, text: str, who: str) -> None:
        super().__init__(who)
        self._text = text

    def open(self) -> TextIO:
        """Open the text at its start."""
        return io.StringIO(self._text)

    def check(self, max_chars: int) -> None:
        """Check it as the core does, with places counted from its start."""
        if len(self._text) > max_chars:
            super().check(max_chars)  # for a message that names the option
        check_text(self._text, max_chars=max_chars, who=self.who)
        self.chars = len(self._text)


class FileSource(Source):
    """A regular file in UTF-8, or in UTF-16 with a byte order mark."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def open(self) -> TextIO:
        """Open the text at its start."""
        try:
            with self._path.open("rb") as raw:
                start = raw.read(2)
            encoding = "utf-16" if start in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} else "utf-8-sig"
            return self._path.open(encoding=encoding)
        except (OSError, ValueError) as error:
            raise _unreadable(error, self.who) from None


def find_source(text: str | None, file: Path | None, max_chars: int) -> Source:
    """Return the one source that the arguments name.

    Raises:
        InvalidText: It cannot be read.
    """
    if file is not None:
        is_pipe = file.exists() and not file.is_file() and not file.is_dir()
        return _piped(file, max_chars) if is_pipe else FileSource(file)
    assert text is not None
    if text == "-":
        # One byte more than the longest text can have, so that a longer one is seen without reading it all.
        return _decoded(sys.stdin.buffer.read(4 * max_chars + 4), "standard input")
    return TextSource(text, "TEXT")


def _piped(path: Path, max_chars: int) -> Source:
    """Read a pipe, which can be read only once: ``--file <(command)``."""
    try:
        with path.open("rb") as stream:
            return _decoded(stream.read(4 * max_chars + 4), str(path))
    except OSError as error:
        raise _unreadable(error, str(path)) from None


def _decoded(data: bytes, who: str) -> Source:
    try:
        # As a file is read: any line ending is one.
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise _not_utf8(error, who) from None
    return TextSource(text, who)


def _not_utf8(error: UnicodeDecodeError, who: str) -> InvalidText:
    byte = error.object[error.start]
    return InvalidText(f"it is not UTF-8 text (it holds a byte 0x{byte:02x})", who=who, fix="save it as UTF-8")


def _unreadable(error: OSError | ValueError, who: str) -> InvalidText:
    reason = getattr(error, "strerror", None) or str(error)
    return InvalidText(f"it cannot be read: {reason}", who=who.replace("\0", "\\0"), fix="give a text file")
