"""Tables of texts: JSON lines, CSV and Parquet, read row by row in bounded memory."""

from __future__ import annotations

import csv
import importlib
import itertools
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING

from realtts.bulk.cells import column_values
from realtts.bulk.rows import COLUMNS, BadRow, make_row
from realtts.documents import parse_json
from realtts.errors import InputError, InvalidOption, InvalidText, MissingExtra, closest

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from realtts.bulk.rows import SpeechRow

__all__ = ["read_rows"]

_LONGEST_LINE = 16 << 20
_PARQUET_ROWS = 256
_SEPARATORS = ",;\t|"
"""Of CSV as programs write it: where the comma is the decimal sign, spreadsheets write semicolons."""
_SEPARATOR_LINE = re.compile(r'sep=([^\w\s"]|\t)\s*\Z', re.IGNORECASE)
"""First line of a CSV file that names the separator, as some spreadsheets write it."""


def read_rows(path: str | os.PathLike[str]) -> Iterator[SpeechRow | BadRow]:
    """Read the rows of a table.

    Args:
        path: ``.jsonl`` or ``.ndjson`` (an object in each line), ``.csv`` or ``.tsv`` with a header, or ``.parquet``.
            CSV may be separated by commas, semicolons, tabs or ``|``. Columns: ``text``, and where wanted ``id``,
            ``voice``, ``reference_text``, ``language``, ``speed``, ``seed``, ``normalize``, ``check_words``,
            ``timestamps`` and ``options`` (JSON; or one column ``options.NAME`` for each). A column without a name is
            passed over. Text is UTF-8.

    Yields:
        Every row; one that cannot be spoken as `BadRow`, with its reason.

    Raises:
        InputError: It is no such table, or has no column ``text``.
        MissingExtra: A Parquet file, without pyarrow.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        near = closest(suffix, _READERS)
        what = f"unknown kind of table {suffix!r}{near}"
        raise InvalidOption(what, who=str(path), fix=f"choose one of {', '.join(_READERS)}")
    return reader(path)


def _json_lines(path: Path) -> Iterator[SpeechRow | BadRow]:
    with _open(path) as file:
        number = 0
        while line := _line(file, path):
            if not line.strip():
                continue
            number += 1
            yield _json_row(number, line)


def _json_row(number: int, line: str) -> SpeechRow | BadRow:
    try:
        values = parse_json(line)
    except ValueError as error:
        return _bad(number, f"it is no JSON ({error})", "write one object in each line")
    if not isinstance(values, dict):
        return _bad(number, f"it is no object but {line.strip()!r:.40}", 'write it like {"text": "Hello."}')
    return make_row(number, values)


def _separated(path: Path, separator: str) -> Iterator[SpeechRow | BadRow]:
    with _open(path, newline="") as file:
        lines = iter(lambda: _line(file, path), "")
        header = _header(lines)
        if named := _SEPARATOR_LINE.match(header):
            separator, header = named[1], _header(lines)
        else:  # the header decides: it has the name of the only column that must be there
            separator = next((each for each in separator + _SEPARATORS if "text" in _names(header, each)), separator)
        # The module's limit holds for the whole process, so a long cell is refused by the length of its line instead.
        table = csv.reader(itertools.chain([header], lines), delimiter=separator, strict=True)
        columns = [name.strip() for name in _cells(table) or ()]
        _check_columns(path, columns)
        for number, cells in enumerate(_records(table), start=1):
            if isinstance(cells, str):
                fix = "quote cells that hold quotes or line breaks; texts over 131,072 characters go into JSON lines"
                yield _bad(number, f"it is no row ({cells})", fix)
            elif len(cells) > len(columns):
                what = f"it has {len(cells)} cells, the header {len(columns)}"
                yield _bad(number, what, "quote cells that hold the separator")
            else:
                yield make_row(number, dict(zip(columns, cells, strict=False)))


def _header(lines: Iterator[str]) -> str:
    """Return the first line that is not empty."""
    return next((line for line in lines if line.strip()), "")


def _names(header: str, separator: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    except csv.Error:
        return []


def _cells(table: Iterator[list[str]]) -> list[str] | None:
    return next((cells for cells in _records(table) if not isinstance(cells, str)), None)


def _records(table: Iterator[list[str]]) -> Iterator[list[str] | str]:
    """Yield the cells of each row that is not empty; what is wrong with it as a string."""
    while True:
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield str(error)
            continue
        if cells:
            yield cells


def _parquet(path: Path) -> Iterator[SpeechRow | BadRow]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingExtra("reading Parquet needs pyarrow", who=str(path), fix="pip install pyarrow") from None
    number = 0
    try:
        with _open_bytes(path) as source, parquet.ParquetFile(source) as file:
            _check_columns(path, file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                columns = [column_values(column) for column in batch.columns]
                for place in range(batch.num_rows):
                    number += 1
                    cells = [values[place] for values in columns]
                    yield make_row(number, dict(zip(batch.schema.names, cells, strict=True)))
    except InputError:
        raise
    except Exception as error:  # pyarrow's own classes, and what a damaged file leads it to
        what = f"it cannot be read as Parquet ({error!s:.200})"
        raise InvalidOption(what, who=str(path), fix="write it again") from error


def _check_columns(path: Path, names: Iterable[str]) -> None:
    names = list(names)
    if "text" not in names:
        near = next((f" ({name!r:.40} is one)" for name in names if closest(name.lower(), ["text"])), "")
        what = f"it has no column 'text'{near}"
        raise InvalidOption(what, who=str(path), fix=f"name the columns in the first row: {', '.join(COLUMNS)}")
    twice = sorted({name for name in names if name.strip() and names.count(name) > 1})
    if twice:
        raise InvalidOption(f"the column {twice[0]!r:.60} stands twice", who=str(path), fix="rename one of them")


def _line(file: IO[str], path: Path) -> str:
    try:
        line = file.readline(_LONGEST_LINE)
    except UnicodeDecodeError as error:
        raise InvalidText(f"it is not UTF-8 ({error.reason})", who=str(path), fix="convert it to UTF-8") from None
    if len(line) >= _LONGEST_LINE:
        raise InvalidText("a line has over 16 million characters", who=str(path), fix="divide the text")
    return line


def _open(path: Path, newline: str | None = None) -> IO[str]:
    try:
        return path.open(encoding="utf-8-sig", newline=newline)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _open_bytes(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> InvalidOption:
    reason = getattr(error, "strerror", None) or str(error)
    return InvalidOption(f"cannot be read: {reason}", who=str(path).replace("\0", "\\0"), fix="check the path")


def _bad(number: int, what: str, fix: str) -> BadRow:
    return BadRow(number, str(number), InvalidText(what, who=f"row {number}", fix=fix))


_READERS: dict[str, Callable[[Path], Iterator[SpeechRow | BadRow]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": lambda path: _separated(path, ","),
    ".tsv": lambda path: _separated(path, "\t"),
    ".parquet": _parquet,
}
