"""The JSON form of a provider's spec, for processes without the plugin."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from realtts.contract.spec import ProviderSpec
from realtts.documents import MALFORMED, reason_of
from realtts.errors import InvalidPlugin, IsolationError
from realtts.synthesis.validate import options_class
from realtts.wire.schema import options_from_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["spec_from_json", "spec_to_json"]


def spec_to_json(spec: ProviderSpec) -> dict[str, Any]:
    """Return every field, JSON-able; of the options the import path, the JSON Schema and the names that limit length.

    Raises:
        InvalidPlugin: The options cannot be imported or described.
    """
    content: dict[str, Any] = _adapter().dump_python(spec, mode="json", exclude={"options"})
    return {**content, "options": _options_to_json(spec), "capabilities": sorted(spec.capabilities)}


def spec_from_json(content: Mapping[str, Any], *, installed: bool = False) -> ProviderSpec:
    """Return the spec again.

    Args:
        content: From `spec_to_json`. Fields that this version does not know are left out.
        installed: The plugin can be imported here, so the options are its own class; else they are a class made from
            the schema, with the same names, ranges, defaults and errors.

    Raises:
        IsolationError: It is no spec.
    """
    try:
        options: Any = content.get("options")
        if options is not None:
            schema, limits = options["schema"], options["length_limits"]
            options = options["path"] if installed else options_from_schema(schema, limits)
        return _adapter().validate_python({**content, "options": options})
    except (*MALFORMED, InvalidPlugin) as error:
        name = content.get("name", "")
        raise IsolationError(
            f"the spec of the environment cannot be read: {reason_of(error)}",
            who=f"provider {name!r:.80}",
            fix=f"make it anew: realtts install {name or 'NAME'}",
        ) from error


@functools.cache
def _adapter() -> TypeAdapter[ProviderSpec]:
    # Names of the fields' types that the module of the spec, which imports no pydantic, has for type checkers only.
    from realtts.contract.options import Options  # noqa: F401

    return TypeAdapter(ProviderSpec)


def _options_to_json(spec: ProviderSpec) -> dict[str, Any] | None:
    if spec.options is None:
        return None
    cls = options_class(spec)
    try:
        schema = cls.model_json_schema()
    except Exception as error:  # pydantic raises many kinds for a type that JSON has no word for
        raise InvalidPlugin(
            f"its options have no JSON Schema: {error}",
            who=f"provider {spec.name!r}",
            fix="use numbers, texts, booleans, choices and lists of them",
        ) from error
    path = spec.options if isinstance(spec.options, str) else f"{cls.__module__}:{cls.__qualname__}"
    return {"path": path, "schema": schema, "length_limits": sorted(cls.length_limits)}
