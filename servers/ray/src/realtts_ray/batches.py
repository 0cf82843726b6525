"""Batches of a Ray dataset: rows out of whatever they come in, and the ids of those that were spoken before."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet
from pyarrow import fs

from realtts.bulk.cells import cell_text, column_values, plain_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Rows", "row_id", "spoken_ids"]

_log = logging.getLogger("realtts.ray")


class Rows:
    """The rows of a batch.

    Args:
        batch: A table of Arrow, or arrays by column, such as a data frame. Cells of one column may be of several types.
    """

    def __init__(self, batch: pa.Table | Mapping[str, Any]) -> None:
        self._columns: dict[str, Any] = (
            dict(zip(batch.column_names, batch.columns, strict=True))
            if isinstance(batch, pa.Table)
            else {str(name): batch[name] for name in batch}
        )
        self._values = {name: column_values(column) for name, column in self._columns.items()}

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self._columns)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for cells in zip(*self._values.values(), strict=True):
            yield dict(zip(self._values, cells, strict=True))

    def column(self, name: str) -> pa.Array | pa.ChunkedArray:
        """Return a column for a table; as texts where its cells have no common type."""
        column = self._columns[name]
        if isinstance(column, (pa.Array, pa.ChunkedArray)):
            return column
        try:
            return pa.array(self._values[name])
        except Exception:  # of Arrow, or of objects of others that it asks
            return pa.array([None if each is None else _text(each) for each in self._values[name]], pa.string())

    def only(self, wanted: Sequence[bool]) -> pa.Table | dict[str, Any]:
        """Return a batch of the rows that are wanted."""
        columns = {name: self.column(name) for name in self.names}
        return pa.table(columns).filter(pa.array(wanted, pa.bool_()))


def row_id(values: Mapping[str, Any]) -> str:
    """Return the id of a row as text, as it stands in what was spoken; empty: it has none."""
    value = cell_text(plain_cell(values.get("id")))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else _text(value)


def spoken_ids(folder: str) -> frozenset[str]:
    """Return the ids of the rows that an earlier run spoke.

    Args:
        folder: Of Parquet files, also an address such as ``s3://bucket/speech``.
    """
    system, path = fs.FileSystem.from_uri(folder) if "://" in folder else (fs.LocalFileSystem(), folder)
    ids: set[str] = set()
    for entry in system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True)):
        if not entry.is_file or entry.extension != "parquet":
            continue
        try:
            with system.open_input_file(entry.path) as file:
                table = pyarrow.parquet.read_table(file, columns=["id", "error"])
            ids.update(row["id"] for row in table.to_pylist() if not row["error"])
        except (pa.ArrowException, OSError, KeyError) as error:  # its writer was killed, or it is another's
            _log.warning("%s is passed over: %s", entry.path, error)
    return frozenset(ids)


def _text(value: Any) -> str:
    try:
        return str(value).encode("utf-8", "backslashreplace").decode()
    except Exception as error:  # of an object of others
        return f"{type(value).__name__} that cannot be shown ({type(error).__name__})"
