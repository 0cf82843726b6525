"""Validators that convert nothing: what comes over a channel has the type that its message says, or is refused.

Pydantic's own strict mode knows one form for Python's values and another for JSON's. The content of a frame is JSON
that was read into Python's values, so that lists stand for tuples and texts not for numbers: neither of the two.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic_core import CoreSchema, SchemaValidator, core_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["strict_validator"]

MOST_DEPTH = 64
"""How deep a value without a type of its own may be nested: readers of the status and of events may walk it."""

MOST_CHARS = 16 << 20
"""Longest text: as long as a frame. That there is a bound lets pydantic look at the characters at all."""

MOST_ITEMS = 200_000
"""Longest array or object: millions of faults, each with its place, take gigabytes."""

_LARGEST = 2**63 - 1
_FARTHEST = 1e15
"""Largest number of seconds or the like: however many of them are added up, the sum is finite."""


def strict_validator(form: Any, *, trusted: bool = False) -> SchemaValidator:
    """Make the validator of a message.

    Numbers, texts and truth values are taken as they are, numbers are finite and fit into 64 bits, texts can be
    encoded, and what may be anything is nested at most 64 deep and keeps to the same. Arrays become tuples, objects
    dataclasses; fields that a message has not got are left out.

    Args:
        form: A dataclass, or a union of dataclasses.
        trusted: The sender is the parent: texts and what may be anything are the user's, names of files for example,
            and are judged by whom they are for.
    """
    return SchemaValidator(_strict(TypeAdapter(form).core_schema, trusted=trusted))


def _strict(part: Any, *, trusted: bool, key: bool = False) -> Any:
    """Return a part of a schema with every scalar inside made strict and bounded.

    Args:
        part: The part.
        trusted: As of `strict_validator`.
        key: It is of the keys of an object, which are texts, whatever they stand for.
    """
    if isinstance(part, (list, tuple)):
        return type(part)(_strict(item, trusted=trusted, key=key) for item in part)
    if not isinstance(part, dict):
        return part
    made = {
        name: value if name == "metadata" else _strict(value, trusted=trusted, key=key or name == "keys_schema")
        for name, value in part.items()
    }
    match made.get("type"):
        case "bool":
            made["strict"] = True
        case "str":
            made = {**({} if trusted else {"max_length": MOST_CHARS}), **made, "strict": True}
        case "int":
            made = {"ge": -_LARGEST, "le": _LARGEST, **made, "strict": not key}
        case "float":
            bounds = {} if trusted else {"ge": -_FARTHEST, "le": _FARTHEST}
            made = {**bounds, **made, "strict": True, "allow_inf_nan": False}
        case "list" | "dict":
            made = {"max_length": MOST_ITEMS, **made}
        case "tuple" if "variadic_item_index" in made:
            made = {"max_length": MOST_ITEMS, **made}
        case "any":
            check = _check_depth if trusted else _check_all
            return core_schema.no_info_after_validator_function(check, _schema(made))
    return made


def _schema(made: Any) -> CoreSchema:
    schema: CoreSchema = made
    return schema


def _check_depth(value: Any) -> Any:
    for _ in _levels(value):
        pass
    return value


def _check_all(value: Any) -> Any:
    for level in _levels(value):
        for part in level:
            _check_leaf(part)
    return value


def _levels(value: Any) -> Iterator[list[Any]]:
    """Yield the value, then its parts, then theirs."""
    level = [value]
    for _ in range(MOST_DEPTH):
        yield level
        level = [inner for outer in level for inner in _parts(outer)]
        if not level:
            return
    raise ValueError(f"it is nested more than {MOST_DEPTH} deep")


def _parts(value: Any) -> Any:
    if isinstance(value, dict):
        return (*value, *value.values())
    return value if isinstance(value, (list, tuple)) else ()


def _check_leaf(value: Any) -> None:
    if isinstance(value, str):
        value.encode()  # half a surrogate pair raises a `ValueError`
    elif isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        raise ValueError("it holds a whole number of more than 64 bits")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number that is not finite")
