"""What the commands print: results to standard output, everything about them to standard error.

Plain text in plain layouts: it reads the same in a terminal, in a pipe and in a log. Of rich only the widths of
characters are used, and imported where something is laid out.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from typing import TYPE_CHECKING, Any

from realtts.exception_text import describe_error, format_traceback

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence

__all__ = [
    "begin_line",
    "clock",
    "duration",
    "end_line",
    "entry",
    "err",
    "err_traceback",
    "given_up",
    "heading",
    "is_terminal",
    "one_line",
    "out",
    "out_json",
    "problem",
    "set_up_logging",
    "size",
    "table",
    "warn",
    "width",
]

_WIDEST = 100
_NARROWEST = 40
_LEAST_COLUMN = 8
_PROGRAMS = {"pip", "realtts", "uv"}
"""What the commands that are advised begin with."""

_line = threading.RLock()
_line_is_open = False
"""A line on standard error was begun and waits for its end."""


def out(text: str = "") -> None:
    """Print a line of the result."""
    print(text)


def out_json(value: Any) -> None:
    """Print the result for programs."""
    import json

    print(json.dumps(value, indent=2))


def err(text: str) -> None:
    """Print a line about the result."""
    with _line:
        end_line()
        print(text, file=sys.stderr, flush=True)


def begin_line(text: str) -> None:
    """Begin a line about the result, which `end_line` completes; any other line ends it first."""
    global _line_is_open  # noqa: PLW0603 - there is one standard error
    with _line:
        end_line()
        print(text, end="", file=sys.stderr, flush=True)
        _line_is_open = True


def end_line(text: str = "") -> bool:
    """Complete the line that was begun; return whether there was one."""
    global _line_is_open
    with _line:
        was_open, _line_is_open = _line_is_open, False
        if was_open:
            print(text, file=sys.stderr, flush=True)
        return was_open


def is_terminal() -> bool:
    """Tell whether standard error is a terminal on which lines can be drawn anew."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def warn(text: str) -> None:
    """Print a line that the user should know of."""
    err(f"warning: {one_line(text)}")


def err_traceback(error: BaseException) -> None:
    """Print where an error came from."""
    err(format_traceback(error).rstrip())


def heading(text: str) -> None:
    """Print a line over a group of entries."""
    fancy = sys.stdout.isatty() and os.name != "nt" and not os.environ.get("NO_COLOR")
    out(f"\x1b[1m{text}\x1b[0m" if fancy else text)


def entry(label: str, text: str, *, indent: int = 2, label_width: int = 14) -> None:
    """Print a labelled text, wrapped to the terminal under its own beginning."""
    first = f"{' ' * indent}{label:<{label_width}} "
    columns = _cells(first)
    lines = _wrap(text, max(_NARROWEST, width()) - columns)
    out((first + f"\n{' ' * columns}".join(lines)).rstrip())


def problem(what: str, fix: str) -> None:
    """Print what is wrong, and under it what mends it, wrapped to the terminal.

    A command that is too long for a line goes on behind a backslash, as a shell reads it.

    Args:
        what: A clause.
        fix: A command or advice, or two with ", or " between them.
    """
    columns = max(_NARROWEST, width())
    out("  - " + "\n    ".join(_wrap(what, columns - 4)))
    for way in fix.replace(", or ", "\nor ").splitlines():
        joint = " \\\n        " if way.removeprefix("or ").split()[0] in _PROGRAMS else "\n        "
        out("      " + joint.join(_wrap(way, columns - 10)))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as they need.

    Where that is wider than the terminal, the last column is cut at its edge; where even that does not help, the widest
    columns are narrowed, and their cells go on in further lines.
    """
    cells = [[one_line(cell) for cell in row] for row in (header, *rows)]
    wide = [max(_cells(row[column]) for row in cells) for column in range(len(header))]
    room = width() - 2 * (len(header) - 1)
    left = room - sum(wide[:-1])
    fits = left >= min(wide[-1], 2 * _LEAST_COLUMN)
    if fits:
        wide[-1] = min(wide[-1], left)
    while sum(wide) > room and max(wide) > _LEAST_COLUMN:
        wide[wide.index(max(wide))] -= 1
    for index, row in enumerate(cells):
        parts = [_wrap(text, columns) for text, columns in zip(row, wide, strict=True)]
        if fits:
            parts[-1] = [_cut(row[-1], wide[-1])]
        for number in range(max(map(len, parts))):
            line = "  ".join(
                _padded(part[number] if number < len(part) else "", columns)
                for part, columns in zip(parts, wide, strict=True)
            ).rstrip()
            heading(line) if index == 0 else out(line)


def given_up(attempt: Mapping[str, Any]) -> str:
    """Return one line about a rung that was given up."""
    message = one_line(str(attempt["message"]))
    reason = f"{attempt['exception']}: {message}" if message else str(attempt["exception"])
    line = f"gave up {attempt['rung']} ({attempt['variant']}) in stage {attempt['stage']}: {reason.rstrip('.')}."
    remedy = one_line(str(attempt["remedy"])).rstrip(".")
    origin = attempt.get("origin")
    return f"{line}{f' Remedy: {remedy}.' if remedy else ''}{f' Where: {origin}.' if origin else ''}"


def one_line(text: str) -> str:
    """Return the text without line breaks."""
    return " ".join(text.split())


def clock(seconds: float) -> str:
    """Return a time as h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def duration(seconds: float, *, digits: int = 2) -> str:
    """Return a time as people read it: in seconds, from an hour on as h:mm:ss."""
    return f"{seconds:.{digits}f} s" if seconds < 3600 else clock(seconds)


def size(count: int) -> str:
    """Return bytes as people read them."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def width() -> int:
    """Return the number of columns to fill."""
    return min(_WIDEST, shutil.get_terminal_size((80, 24)).columns)


def _wrap(text: str, columns: int) -> list[str]:
    """Return the text in lines of at most so many columns: cut at spaces, words that are too long anywhere."""
    lines: list[str] = []
    for word in text.split():
        if lines and _cells(lines[-1]) + 1 + _cells(word) <= columns:
            lines[-1] += f" {word}"
        else:
            lines += _chopped(word, columns)
    return lines or [""]


def _cells(text: str) -> int:
    """Return how many columns a text fills."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # only where it is needed: listing providers imports nothing heavy

    return cell_len(text)


def _padded(text: str, columns: int) -> str:
    """Return the text with spaces behind it, or cut, to so many columns."""
    if text.isascii():
        return text[:columns].ljust(columns)
    from rich.cells import set_cell_size

    return set_cell_size(text, columns)


def _chopped(word: str, columns: int) -> list[str]:
    """Return a word in parts of at most so many columns."""
    if word.isascii():
        return [word[at : at + columns] for at in range(0, len(word), columns)]
    from rich.cells import chop_cells

    return chop_cells(word, columns)


def _cut(text: str, columns: int) -> str:
    return text if _cells(text) <= columns else f"{_padded(text, columns - 3)}..."


def set_up_logging(*, debug: bool, quiet: bool) -> None:
    """Log warnings as single lines to standard error; everything, with tracebacks, for ``--debug``."""
    import logging

    logger = logging.getLogger("realtts")

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            err(self.format(record))  # which ends a line that was begun

    handler = Handler()
    handler.name = "realtts.cli"
    handler.setFormatter(_formatter(debug=debug))
    # The earlier one belongs to an earlier call in the same process.
    logger.handlers = [*(old for old in logger.handlers if old.name != handler.name), handler]
    logger.setLevel(logging.DEBUG if debug else logging.ERROR if quiet else logging.WARNING)
    if not debug:
        # Rungs that were given up are listed by the commands themselves, at the end.
        handler.addFilter(lambda record: (record.module, record.levelno) != ("ladder", logging.WARNING))


def _formatter(*, debug: bool) -> logging.Formatter:
    import logging

    class OneLine(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            cause = record.exc_info[1] if record.exc_info else None
            lines = record.getMessage().strip().splitlines() or [""]
            if cause is not None:
                lines.append(describe_error(cause))
            # Of a traceback the last line says what was raised.
            return f"{record.levelname.lower()}: {': '.join(dict.fromkeys((lines[0], lines[-1])))}"

    return logging.Formatter("%(relativeCreated)7.0f ms %(levelname)s %(name)s: %(message)s") if debug else OneLine()
