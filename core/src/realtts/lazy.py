"""Public names of a package, listed once in its stub and imported when they are first used (PEP 562)."""

from __future__ import annotations

import ast
import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["public_names"]


def public_names(package: str, *defined: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package, from the imports in its ``__init__.pyi``.

    Type checkers read the same stub, so that each name stands in one place. The stub is read through the package's
    loader, because a package may lie in a zip file.

    Args:
        package: The package's ``__name__``; called while it is being imported.
        defined: Public names that the package itself defines.
    """
    modules = _modules_by_name(package)
    names = sorted([*modules, *defined])

    def __getattr__(name: str) -> Any:  # noqa: N807 - the package's own
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:  # noqa: N807 - the package's own
        return names

    return __getattr__, __dir__, names


def _modules_by_name(package: str) -> dict[str, str]:
    """Return each name that the stub imports, with the module that defines it."""
    spec = sys.modules[package].__spec__
    assert spec is not None
    assert spec.origin is not None
    loader: Any = spec.loader
    stub = loader.get_data(f"{spec.origin.rpartition('.')[0]}.pyi")
    imports = (node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom))
    return {alias.name: node.module for node in imports if node.module is not None for alias in node.names}
