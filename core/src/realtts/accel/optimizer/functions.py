"""Which function is the same as another one: in every process by its name, in this one by its identity."""

from __future__ import annotations

import sys
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["identity_of", "name_of"]


def name_of(function: Callable[..., Any]) -> str | None:
    """The name that means a function in every process; None for lambdas, methods, closures and other objects.

    Functions of ``__main__`` have none: each script has its own.
    """
    if not isinstance(function, FunctionType) or function.__closure__ or function.__module__ in {None, "__main__"}:
        return None
    found = getattr(sys.modules.get(function.__module__), function.__qualname__, None)
    return f"{function.__module__}.{function.__qualname__}" if found is function else None


def identity_of(function: Callable[..., Any]) -> str:
    """The object's, which holds while it lives; a method is a new object at each look, so it has its instance's."""
    parts = (function.__self__, function.__func__) if isinstance(function, MethodType) else (function,)
    return "#".join(str(id(part)) for part in parts)
