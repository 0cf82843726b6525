"""The JSON form of a provider's spec: what an environment says of its provider to a process without the plugin."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.contract.spec import Checkpoint, Environment, ProviderSpec
from realtts.errors import InvalidPlugin, IsolationError
from realtts.synthesis.validate import options_class
from realtts.wire.schema import options_from_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["checkpoint_from_json", "checkpoint_to_json", "spec_from_json", "spec_to_json"]


def spec_to_json(spec: ProviderSpec) -> dict[str, Any]:
    """Every field, JSON-able; of the options the import path, the JSON Schema and the names that limit the length.

    Raises:
        InvalidPlugin: The options cannot be imported or described.
    """
    written: dict[str, Any] = {field.name: getattr(spec, field.name) for field in fields(spec)}
    return {
        **{name: list(value) if isinstance(value, tuple) else value for name, value in written.items()},
        "options": _options_to_json(spec),
        "capabilities": sorted(spec.capabilities),
        "checkpoints": [checkpoint_to_json(checkpoint) for checkpoint in spec.checkpoints],
        "environment": {
            field.name: list(value) if isinstance(value := getattr(spec.environment, field.name), tuple) else value
            for field in fields(spec.environment)
        },
    }


def spec_from_json(content: Mapping[str, Any], *, installed: bool = False) -> ProviderSpec:
    """The spec again.

    Args:
        content: What `spec_to_json` made. Fields that this version does not know are left out.
        installed: The plugin can be imported here, so the options are its own class; else they are a class made from
            the schema, with the same names, ranges, defaults and errors.

    Raises:
        IsolationError: It is no spec.
    """
    try:
        values = _known(ProviderSpec, content)
        options = values.pop("options", None)
        if options is not None:
            values["options"] = (
                options["path"] if installed else options_from_schema(options["schema"], options["length_limits"])
            )
        values["checkpoints"] = tuple(checkpoint_from_json(item) for item in values.get("checkpoints", ()))
        built = _known(Environment, values.get("environment", {}))
        built = {name: tuple(value) if isinstance(value, list) else value for name, value in built.items()}
        values["environment"] = Environment(**built)
        return ProviderSpec(**values)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidPlugin) as error:
        raise IsolationError(
            f"the spec of the environment cannot be read: {type(error).__name__}: {error}",
            who=f"provider {content.get('name', '')!r}",
            fix=f"make it anew: realtts install {content.get('name', 'NAME')}",
        ) from error


def checkpoint_to_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Every field, JSON-able."""
    values = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}
    values["path"] = None if checkpoint.path is None else str(checkpoint.path)
    # A string here is a fault of the spec, which `realtts.checkpoints` tells.
    files: Any = checkpoint.files
    values["files"] = files if isinstance(files, str) else [list(f) if isinstance(f, tuple) else f for f in files]
    return values


def checkpoint_from_json(content: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint again."""
    values = _known(Checkpoint, content)
    path = values.get("path")
    return Checkpoint(**{**values, "path": None if path is None else Path(path)})


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


def _known(cls: type, content: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(cls)}
    return {name: value for name, value in content.items() if name in names}
