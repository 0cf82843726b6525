"""Cells of a table, whatever library they come from: which of them hold nothing, and what JSON can carry of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from realtts.exception_text import exception_name

__all__ = ["carried", "cell_text", "column_values", "plain_cell"]

_NOTHING = {"NAType", "NaTType"}  # of pandas, which need not be installed
_DEEPEST = 32
_MOST_BITS = 900  # what reads the manifest takes no longer numbers


def plain_cell(value: Any) -> Any:
    """Return a cell as a value of Python's own; None where it holds nothing, such as NaN."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()  # a number of numpy
    if type(value).__name__ in _NOTHING:
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if isinstance(value, Decimal) and value.is_nan() else value


def cell_text(value: Any) -> Any:
    """Return the text of a cell that holds its UTF-8, as some programs write strings; any other value as it is."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            return value
    return value


def column_values(column: Any) -> list[Any]:
    """Return the cells of a column of Arrow, or of an array.

    Texts stand for what Python has no values for, such as years over 9999, and bytes for strings that are no UTF-8: a
    column that means nothing to realtts must not stop its rows.
    """
    if not hasattr(column, "to_pylist"):
        return list(column.tolist() if hasattr(column, "tolist") else column)
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return list(column.cast("binary").to_pylist())
    except (ValueError, OverflowError, ArithmeticError):
        return list(column.cast("string").to_pylist())


def carried(value: Any, depth: int = 0) -> Any:
    """Return what a manifest carries of a value: JSON that can be read back, whatever the table had.

    Args:
        value: Of a column that means nothing to realtts; bytes, such as audio, are only counted.
        depth: Tables and lists around it.
    """
    value = plain_cell(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _MOST_BITS else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(bytes(value)):,} bytes"
    return _carried_tree(value, depth)


def _carried_tree(value: Any, depth: int) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()  # an array
    try:
        if isinstance(value, (Mapping, list, tuple, set, frozenset)) and depth >= _DEEPEST:
            return f"{type(value).__name__} of {len(value):,}"
        if isinstance(value, Mapping):
            return {str(carried(str(name))): carried(each, depth + 1) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [carried(each, depth + 1) for each in value]
        if isinstance(value, (set, frozenset)):
            return sorted((carried(each, depth + 1) for each in value), key=repr)
        return carried(str(value), depth)
    except Exception as error:  # of an object that cannot even be shown
        return f"{type(value).__name__} that cannot be shown ({exception_name(error)})"
