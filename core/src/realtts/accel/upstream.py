"""Upstream's own classes and functions, used without what their packages do around them.

Packages of models build their networks with random weights first and copy the file's over them, so that all weights lie
in memory twice; and their loops print, count and draw by names of their modules.
"""

from __future__ import annotations

import types as python_types
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

__all__ = ["Unfilled", "put_tensor", "with_names"]


class Unfilled(TorchFunctionMode):
    """Inside it, uninitialised memory is of the device "meta", so that filling it with random numbers does nothing.

    What constructors compute (positions, windows, frequencies, filters) is computed as ever.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """As torch asks for every operation."""
        kwargs = kwargs or {}
        if func is torch.empty:
            return func(*args, **{**kwargs, "device": "meta"})
        if getattr(func, "__name__", "") == "__set__" and len(args) == 2 and args[0].is_meta and not args[1].is_meta:
            return func(args[0], args[1].to("meta"))
        return func(*args, **kwargs)


def put_tensor(network: nn.Module, name: str, tensor: Tensor) -> None:
    """Replace one parameter or buffer; not all by `load_state_dict`, so that never two copies of all are in memory.

    Args:
        network: Such as was made inside `Unfilled`.
        name: As in its state dict.
        tensor: What takes the place.
    """
    path, _, last = name.rpartition(".")
    owner = network.get_submodule(path)
    is_parameter = isinstance(getattr(owner, last), torch.nn.Parameter)
    setattr(owner, last, torch.nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor)


def with_names(function: Any, **names: Any) -> Any:
    """The function's own code, without its outermost decorator, in which some names of its module mean something else.

    So ``print`` can be silence and noise can be given, while nothing of the module is changed.

    Args:
        function: Written in Python.
        names: Name -> what it shall be.
    """
    plain = getattr(function, "__wrapped__", function)
    scope = {**plain.__globals__, **names}
    other = python_types.FunctionType(plain.__code__, scope, plain.__name__, plain.__defaults__, plain.__closure__)
    other.__kwdefaults__ = plain.__kwdefaults__
    return other
