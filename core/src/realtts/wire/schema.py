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
    cls: type[Options] = create_model(
        str(schema.get("title", "Options")), __base__=Options, **_fields(schema, schema.get("$defs", {}))
    )
    cls.length_limits = frozenset(length_limits)
    return cls


def _fields(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    required = schema.get("required", ())
    fields: dict[str, Any] = {}
    for name, node in schema.get("properties", {}).items():
        kind = _type(node, definitions)
        default = ... if name in required else _default(node, kind)
        form = _format(node)
        fields[name] = (kind, Field(default, description=node.get("description"), json_schema_extra=form))
    return fields


def _format(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the format of a text for the schema of the class that is made: it tells which options are paths."""
    formats = (each["format"] for each in (node, *node.get("anyOf", ())) if "format" in each)
    return next(({"format": each} for each in formats), None)


def _default(node: Mapping[str, Any], kind: Any) -> Any:
    """Return the default as the type has it: JSON knows no tuples. A schema does not tell what a factory makes."""
    if "default" not in node:
        return {"array": (), "object": {}}.get(node.get("type", ""))
    default = node["default"]
    return TypeAdapter(kind).validate_python(default) if isinstance(default, (list, dict)) else default


def _type(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """Return the type that a part of a schema describes; Any for what is not understood, which the worker checks."""
    if "$ref" in node:
        return _type(definitions.get(str(node["$ref"]).rpartition("/")[2], {}), definitions)
    if "enum" in node:
        return Literal[tuple(node["enum"])]
    if "const" in node:
        return Literal[node["const"]]
    for word in ("anyOf", "oneOf"):
        if word in node:
            return Union[tuple(_type(branch, definitions) for branch in node[word])]  # noqa: UP007 - of a tuple
    if len(node.get("allOf", ())) == 1:
        return _type(node["allOf"][0], definitions)
    return _limited(_bare(node, definitions), node)


def _bare(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    kind = node.get("type")
    if kind == "array":
        return _array(node, definitions)
    if kind == "object":
        return _object(node, definitions)
    return _SIMPLE.get(kind, Any) if isinstance(kind, str) else Any


def _array(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    item = _type(node.get("items", {}), definitions) if isinstance(node.get("items", {}), dict) else Any
    if node.get("uniqueItems"):
        return frozenset[item]  # type: ignore[valid-type]
    if "prefixItems" in node:
        return tuple[tuple(_type(part, definitions) for part in node["prefixItems"])]  # type: ignore[misc]
    return tuple[item, ...]  # type: ignore[valid-type] # immutable, as options are


def _object(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    if "properties" in node:
        extra: Literal["forbid", "ignore"] = "forbid" if node.get("additionalProperties") is False else "ignore"
        # What `Options` asks of itself, its parts need not keep.
        base = type(
            "Part", (BaseModel,), {"model_config": ConfigDict(frozen=True, extra=extra), "__module__": __name__}
        )
        return create_model(str(node.get("title", "Part")), __base__=base, **_fields(node, definitions))
    value = node.get("additionalProperties")
    kind = _type(value, definitions) if isinstance(value, dict) else Any
    return dict[str, kind]  # type: ignore[valid-type]


def _limited(bare: Any, node: Mapping[str, Any]) -> Any:
    limits = {limit: node[word] for word, limit in _LIMITS.items() if word in node}
    if "prefixItems" in node:
        limits = {}  # the tuple's own length says it
    return Annotated[bare, Field(**limits)] if limits and bare is not Any else bare
