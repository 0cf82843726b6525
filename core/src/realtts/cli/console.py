"""What the commands print: results to standard output, everything about them to standard error.

Plain text in plain layouts: it reads the same in a terminal, in a pipe and in a log, and costs no import of rich.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import unicodedata
from typing import TYPE_CHECKING, Any

from realtts.exception_text import format_traceback

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence

__all__ = [
    "entry",
    "err",
    "err_traceback",
    "given_up",
    "heading",
    "one_line",
    "out",
    "out_json",
    "set_up_logging",
    "size",
    "table",
    "warn",
    "width",
]

_WIDEST = 100


def out(text: str = "") -> None:
    """Print a line of the result."""
    print(text)


def out_json(value: Any) -> None:
    """Print the result for programs."""
    import json

    print(json.dumps(value, indent=2))


def err(text: str) -> None:
    """Print a line about the result."""
    print(text, file=sys.stderr, flush=True)


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
    lines = textwrap.wrap(
        text, max(40, width()), initial_indent=first, subsequent_indent=" " * len(first),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    out("\n".join(lines) or first.rstrip())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as they need; the last one is cut at the terminal's edge."""
    cells = [list(header), *map(list, rows)]
    wide = [max(_cells(row[column]) for row in cells) for column in range(len(header) - 1)]
    for index, row in enumerate(cells):
        line = "  ".join(_pad(text, columns) for text, columns in zip(row, [*wide, 0], strict=True)).rstrip()
        line = _cut(line, width())
        heading(line) if index == 0 else out(line)


def given_up(attempt: Mapping[str, Any]) -> str:
    """Return one line about a rung that was given up."""
    message = one_line(str(attempt["message"]))
    reason = f"{attempt['exception']}: {message}" if message else str(attempt["exception"])
    line = f"gave up {attempt['rung']} ({attempt['variant']}) in stage {attempt['stage']}: {reason.rstrip('.')}."
    remedy = one_line(str(attempt["remedy"])).rstrip(".")
    return f"{line} Remedy: {remedy}." if remedy else line


def one_line(text: str) -> str:
    """Return the text without line breaks."""
    return " ".join(text.split())


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


def _cells(text: str) -> int:
    """Return the number of columns that a terminal needs for the text."""
    return sum(map(_char_cells, text))


def _char_cells(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _pad(text: str, columns: int) -> str:
    return text + " " * max(0, columns - _cells(text))


def _cut(text: str, columns: int) -> str:
    if _cells(text) <= columns:
        return text
    while _cells(text) > columns - 3:
        text = text[:-1]
    return f"{text}..."


def set_up_logging(*, debug: bool, quiet: bool) -> None:
    """Log warnings as single lines to standard error; everything, with tracebacks, for ``--debug``."""
    import logging

    logger = logging.getLogger("realtts")
    handler = logging.StreamHandler()
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
            message = f"{record.levelname.lower()}: {record.getMessage()}"
            return f"{message}: {type(cause).__name__}: {cause}" if cause is not None else message

    return logging.Formatter("%(relativeCreated)7.0f ms %(levelname)s %(name)s: %(message)s") if debug else OneLine()
