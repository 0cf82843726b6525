"""Validators that convert nothing: what comes over a channel has the type that its message says, or is refused.

Pydantic's own strict mode knows one form for Python's values and another for JSON's. The content of a frame is JSON
that was read into Python's values, so that lists stand for tuples and texts not for numbers: neither of the two.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic_core import CoreSchema, SchemaValidator, core_schema

__all__ = ["strict_validator"]

MOST_DEPTH = 64
"""How deep a value without a type of its own may be nested: readers of the status and of events may walk it."""

_LARGEST = 2**63 - 1


def strict_validator(form: Any) -> SchemaValidator:
    """Make the validator of a message.

    Numbers, texts and truth values are taken as they are, numbers are finite and fit into 64 bits, and what may be
    anything is nested at most 64 deep. Arrays become tuples, objects dataclasses; fields that a message has not got
    are left out.

    Args:
        form: A dataclass, or a union of dataclasses.
    """
    return SchemaValidator(_strict(TypeAdapter(form).core_schema))


def _strict(part: Any) -> Any:
    """Return a part of a schema with every scalar inside made strict."""
    if isinstance(part, (list, tuple)):
        return type(part)(map(_strict, part))
    if not isinstance(part, dict):
        return part
    # The keys of an object are texts, whatever they stand for.
    made = {name: value if name in {"keys_schema", "metadata"} else _strict(value) for name, value in part.items()}
    match made.get("type"):
        case "bool" | "str":
            made["strict"] = True
        case "int":
            made = {"ge": -_LARGEST, "le": _LARGEST, **made, "strict": True}
        case "float":
            made.update(strict=True, allow_inf_nan=False)
        case "any":
            return core_schema.no_info_after_validator_function(_bounded, _schema(made))
    return made


def _schema(made: Any) -> CoreSchema:
    schema: CoreSchema = made
    return schema


def _bounded(value: Any) -> Any:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [inner for outer in level for inner in _parts(outer)]
        if not level:
            return value
    raise ValueError(f"it is nested more than {MOST_DEPTH} deep")


def _parts(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()
