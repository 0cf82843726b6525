"""JSON, TOML and text of files that anybody may have written: read whole and checked, with one error for every fault.

All such files are read here, so that none brings the program down: whatever the parsers raise (too deep, too long a
number, not UTF-8, no memory) becomes `DocumentError`, and values that later break what works on them, such as infinity
or a key that stands twice, are refused at once.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - the other branch on older Pythons
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "DEEPEST",
    "LFS_POINTER",
    "MALFORMED",
    "DocumentError",
    "is_lfs_pointer",
    "jsonable",
    "parse_json",
    "parse_toml",
    "read_json",
    "read_json_table",
    "read_text",
    "read_toml",
    "reason_of",
]

DEEPEST = 64
"""Most tables and lists inside each other; deeper ones are an attack, and what walks them recursively would fail."""

MALFORMED = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError, MemoryError,
    OSError,
)  # fmt: skip
"""What code raises that takes values out of a document of another form than it expects."""

LFS_POINTER = "it is a Git LFS pointer, not the file itself, which 'git lfs pull' in its folder fetches"
"""What is wrong with a file of a repository that was cloned without Git LFS."""

_MOST_BYTES = 256 << 20
_MOST_TOML_BYTES = 4 << 20
_MOST_DIGITS = 300  # so that float() of a whole number never overflows
_LFS = b"version https://git-lfs.github.com/spec/"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONGEST_REASON = 160
_MOST_VALUES = 100_000
_LARGEST = 2**63 - 1


class DocumentError(ValueError):
    """A file or text that is no sound JSON, TOML or UTF-8; its message says why, in one short clause."""


def read_text(path: Path, *, most_bytes: int = _MOST_BYTES) -> str:
    """Read a file of UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        most_bytes: Largest file that is read.

    Raises:
        DocumentError: It cannot be read, is too large, or is no UTF-8.
    """
    try:
        if os.stat(path).st_size > most_bytes:  # noqa: PTH116 - before a byte is read
            raise DocumentError(f"it is larger than {most_bytes >> 20} MiB")
        with open(path, "rb") as file:  # noqa: PTH123 - a device without end has the size 0: no more than that is read
            content = file.read(most_bytes + 1)
    except (OSError, ValueError, MemoryError) as error:
        raise DocumentError(reason_of(error)) from error
    if len(content) > most_bytes:
        raise DocumentError(f"it is larger than {most_bytes >> 20} MiB")
    return _decoded(content)


def read_json(path: Path, *, most_bytes: int = _MOST_BYTES) -> Any:
    """Read a JSON file; as `read_text` and `parse_json`.

    Raises:
        DocumentError: It cannot be read, or is no sound JSON.
    """
    return parse_json(read_text(path, most_bytes=most_bytes))


def read_json_table(path: Path, *, most_bytes: int = _MOST_BYTES) -> dict[str, Any]:
    """Read a JSON file that holds a table; as `read_json`.

    Raises:
        DocumentError: It cannot be read, is no sound JSON, or holds something else.
    """
    content = read_json(path, most_bytes=most_bytes)
    if not isinstance(content, dict):
        raise DocumentError("it is no table")
    return content


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; as `read_text` and `parse_toml`.

    Raises:
        DocumentError: It cannot be read, or is no sound TOML.
    """
    return parse_toml(read_text(path, most_bytes=_MOST_TOML_BYTES))


def parse_json(text: str | bytes) -> Any:
    """Parse JSON as its standard has it: no NaN, no infinity, no key twice; at most `DEEPEST` levels.

    Args:
        text: The text, or its UTF-8 with or without a byte order mark.

    Raises:
        DocumentError: It is no sound JSON.
    """
    if not isinstance(text, str):
        text = _decoded(bytes(text))
    try:
        content = json.loads(
            text,
            object_pairs_hook=_table,
            parse_constant=_refused_constant,
            parse_float=_finite_float,
            parse_int=_whole_number,
        )
        _check_tree(content, strings=_SURROGATE.search(text) is not None)
    except (ValueError, RecursionError, MemoryError) as error:
        raise DocumentError(reason_of(error)) from error
    return content


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML of at most `DEEPEST` levels.

    Raises:
        DocumentError: It is no sound TOML.
    """
    try:
        content: dict[str, Any] = tomllib.loads(text)
        _check_tree(content, strings=False)
    except (ValueError, RecursionError, MemoryError, ArithmeticError) as error:
        raise DocumentError(reason_of(error)) from error
    return content


def jsonable(value: Any) -> Any:
    """Return a value as every reader of JSON takes it.

    What JSON has no word for becomes text: objects, numbers that are not finite or have more than 64 bits, half a
    surrogate pair, and what is nested deeper than `DEEPEST` levels.

    Args:
        value: What foreign code reports, whatever it is; what its own methods raise is raised.

    Raises:
        ValueError: It has more than a hundred thousand parts, or contains itself.
    """
    return _jsonable(value, DEEPEST - 1, itertools.count())  # the innermost value is a level too


def is_lfs_pointer(path: Path) -> bool:
    """Tell whether a file is a Git LFS pointer in the place of a large file."""
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:
        return False


def reason_of(error: BaseException) -> str:
    """Return what an error says as one short line for a message; the kind of error where it says nothing."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    if isinstance(error, (KeyError, IndexError)):
        text = f"the entry {text} is missing" if text else ""
    text = text or f"{type(error).__name__} without a reason"
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."


def _decoded(content: bytes) -> str:
    if content.startswith(_LFS):
        raise DocumentError(LFS_POINTER)
    if content.startswith(_UTF16):
        raise DocumentError("it is UTF-16, not UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"it is not UTF-8, byte {error.start} is 0x{content[error.start]:02x}") from None


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        names: set[str] = set()
        twice = next(name for name, _ in pairs if name in names or names.add(name))  # type: ignore[func-returns-value]
        raise DocumentError(f"the key {twice!r:.80} stands in it twice")
    return table


def _refused_constant(name: str) -> Any:
    raise DocumentError(f"{name} is no number of JSON")


def _finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise DocumentError(f"the number {digits:.40} is too large")
    return value


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise DocumentError(f"it holds a number of {len(digits)} digits")
    return int(digits)


def _check_tree(content: Any, *, strings: bool) -> None:
    """Refuse what is nested too deep, whole numbers without measure, and text that is none.

    Args:
        content: What a parser returned.
        strings: Whether to look at every string for half a surrogate pair, which cannot be written anywhere.
    """
    level = [content]
    for _ in range(DEEPEST + 1):
        if not level:
            return
        below: list[Any] = []
        for item in level:
            values = item.values() if isinstance(item, dict) else item if isinstance(item, list) else (item,)
            if strings and isinstance(item, dict):
                _check_strings(item)
            for value in values:
                if isinstance(value, (dict, list)):
                    below.append(value)
                elif strings and isinstance(value, str):
                    _check_strings((value,))
                elif isinstance(value, int) and value.bit_length() > 1000:
                    raise DocumentError("it holds a number of more than 300 digits")
        level = below
    raise DocumentError(f"it is nested more than {DEEPEST} levels deep")


def _check_strings(strings: Any) -> None:
    for text in strings:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise DocumentError("it holds half a surrogate pair, which is no character") from None


def _jsonable(value: Any, levels: int, parts: Iterator[int]) -> Any:
    if next(parts) >= _MOST_VALUES:
        raise ValueError("it has too many parts, or contains itself")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -_LARGEST <= value <= _LARGEST else f"a whole number of {value.bit_length()} bits"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else f"{float(value)}"
    if levels and isinstance(value, Mapping):
        return {_encodable(name): _jsonable(part, levels - 1, parts) for name, part in value.items()}
    if levels and isinstance(value, (list, tuple, set, frozenset)):
        return [_jsonable(part, levels - 1, parts) for part in value]
    return _encodable(value)


def _encodable(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return str.encode(text, "utf-8", "backslashreplace").decode()
