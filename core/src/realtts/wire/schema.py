"""An options class from a JSON Schema, so that a process without the plugin checks requests with the same errors.

Constraints that JSON Schema can say are checked here, in pydantic's own words. Validators in code are not in a schema:
the worker's class, which has them, checks every request once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from realtts.contract.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["options_from_schema"]

_SIMPLE: dict[str, Any] = {"integer": int, "number": float, "string": str, "boolean": bool, "null": None}
_LIMITS = {
    "minimum": "ge",
    "exclusiveMinimum": "gt",
    "maximum": "le",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
}


def options_from_schema(schema: Mapping[str, Any], length_limits: Sequence[str] = ()) -> type[Options]:
    """Make a subclass of `Options` with the fields, ranges, defaults and descriptions of a schema.

    Args:
        schema: As ``Options.model_json_schema()`` gives it.
        length_limits: The class's own ``length_limits``.
    """
    made: type[Options] = create_model(
        str(schema.get("title", "Options")), __base__=Options, **_fields(schema, schema.get("$defs", {}))
    )
    made.length_limits = frozenset(length_limits)
    return made


def _fields(schema: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    required = schema.get("required", ())
    made: dict[str, Any] = {}
    for name, about in schema.get("properties", {}).items():
        kind = _type(about, known)
        default = ... if name in required else _default(about, kind)
        made[name] = (kind, Field(default, description=about.get("description")))
    return made


def _default(about: Mapping[str, Any], kind: Any) -> Any:
    """Return the default as the type has it: JSON knows no tuples. A schema does not tell what a factory makes."""
    if "default" not in about:
        return {"array": (), "object": {}}.get(about.get("type", ""))
    default = about["default"]
    return TypeAdapter(kind).validate_python(default) if isinstance(default, (list, dict)) else default


def _type(about: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """Return the type that a part of a schema describes; Any for what is not understood, which the worker checks."""
    if "$ref" in about:
        return _type(known.get(str(about["$ref"]).rpartition("/")[2], {}), known)
    if "enum" in about:
        return Literal[tuple(about["enum"])]
    if "const" in about:
        return Literal[about["const"]]
    for word in ("anyOf", "oneOf"):
        if word in about:
            return Union[tuple(_type(branch, known) for branch in about[word])]  # noqa: UP007 - of a tuple
    if len(about.get("allOf", ())) == 1:
        return _type(about["allOf"][0], known)
    return _limited(_bare(about, known), about)


def _bare(about: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    kind = about.get("type")
    if kind == "array":
        return _array(about, known)
    if kind == "object":
        return _object(about, known)
    return _SIMPLE.get(kind, Any) if isinstance(kind, str) else Any


def _array(about: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    item = _type(about.get("items", {}), known) if isinstance(about.get("items", {}), dict) else Any
    if about.get("uniqueItems"):
        return frozenset[item]  # type: ignore[valid-type]
    if "prefixItems" in about:
        return tuple[tuple(_type(part, known) for part in about["prefixItems"])]  # type: ignore[misc]
    return tuple[item, ...]  # type: ignore[valid-type] # immutable, as options are


def _object(about: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    if "properties" in about:
        extra: Literal["forbid", "ignore"] = "forbid" if about.get("additionalProperties") is False else "ignore"
        # What `Options` asks of itself, its parts need not keep.
        base = type(
            "Part", (BaseModel,), {"model_config": ConfigDict(frozen=True, extra=extra), "__module__": __name__}
        )
        return create_model(str(about.get("title", "Part")), __base__=base, **_fields(about, known))
    value = about.get("additionalProperties")
    kind = _type(value, known) if isinstance(value, dict) else Any
    return dict[str, kind]  # type: ignore[valid-type]


def _limited(bare: Any, about: Mapping[str, Any]) -> Any:
    limits = {limit: about[word] for word, limit in _LIMITS.items() if word in about}
    if "prefixItems" in about:
        limits = {}  # the tuple's own length says it
    return Annotated[bare, Field(**limits)] if limits and bare is not Any else bare
