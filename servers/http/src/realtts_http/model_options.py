"""The options of a model as its clients may set them: neither arguments of a call, nor files of the server."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from realtts import RealProvider
from realtts.synthesis.validate import options_class
from realtts_http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from realtts import Options, ProviderSpec

__all__ = ["check_option_names", "options_schema"]

_ARGUMENTS = frozenset(inspect.signature(RealProvider.generate).parameters) - {"options"}
_PATHS = frozenset({"path", "file-path", "directory-path"})
"""Values of ``format`` in a JSON Schema."""


def options_schema(spec: ProviderSpec) -> dict[str, Any]:
    """Return the JSON Schema of a model's options, without those that name files of the server."""
    schema = options_class(spec).model_json_schema()
    paths = _path_options(options_class(spec))
    properties = {name: node for name, node in schema.get("properties", {}).items() if name not in paths}
    return {**schema, "properties": properties}


def check_option_names(names: Iterable[str], spec: ProviderSpec) -> None:
    """Check that none of the options is something else: they become arguments of one call.

    Args:
        names: What a client calls its options.
        spec: Of the model.

    Raises:
        ProblemError: One is an argument of `RealProvider.generate`, or names a file of the server.
    """
    for name in names:
        if name in _ARGUMENTS:
            message = f"options.{name}: this is no option of the model. Fix: see /docs for the fields of a request."
            raise ProblemError(400, "unknown_option", message, field=name)
        if name in _path_options(options_class(spec)):
            message = f"options.{name}: it names a file of the server, which no request can. Fix: leave it out."
            raise ProblemError(400, "invalid_option", message, field=name)


@functools.lru_cache(maxsize=256)
def _path_options(options: type[Options]) -> frozenset[str]:
    properties: Mapping[str, Any] = options.model_json_schema().get("properties", {})
    return frozenset(name for name, node in properties.items() if _is_path(node))


def _is_path(node: Mapping[str, Any]) -> bool:
    return node.get("format") in _PATHS or any(_is_path(each) for each in node.get("anyOf", ()))
