"""Upstream's networks, built without a second copy of their weights.

Packages of models build their networks with random weights first and copy the file's over them, so that all weights lie
in memory twice. Inside `Unfilled` the random ones take no memory, and `fill` puts the file's in their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from realtts.kit.reading import FIX, check_names, check_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from torch import Tensor, nn

    from realtts.accel.weights.tensorfile import State

__all__ = ["Unfilled", "fill", "put_tensor"]


_FILLS = frozenset(
    {
        torch.Tensor.normal_,
        torch.Tensor.uniform_,
        torch.Tensor.fill_,
        torch.Tensor.zero_,
        torch.nn.init.normal_,
        torch.nn.init.uniform_,
        torch.nn.init.constant_,
        torch.nn.init.kaiming_uniform_,
    }
)


class Unfilled(TorchFunctionMode):
    """A mode in which uninitialised memory is of the device "meta", so that filling it at random costs nothing.

    What constructors compute (positions, windows, frequencies, filters) is computed as ever.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation of torch, with `torch.empty` on the device "meta"."""
        kwargs = kwargs or {}
        tensor = args[0] if args else kwargs.get("tensor")  # torch hands its initialisers on by keyword
        if isinstance(tensor, torch.Tensor) and tensor.is_meta:
            # Without these torch works out each shape in Python, for milliseconds.
            if func in _FILLS:
                return tensor
            if func is torch._weight_norm:
                return torch.empty_like(tensor)
            if func is torch.norm_except_dim:
                return _norms(tensor, args[2] if len(args) > 2 else kwargs.get("dim", 0))
        if func is torch.empty:
            return func(*args, **{**kwargs, "device": "meta"})
        if getattr(func, "__name__", "") == "__set__" and len(args) == 2 and args[0].is_meta and not args[1].is_meta:
            return func(args[0], args[1].to("meta"))
        return func(*args, **kwargs)


def _norms(tensor: Tensor, dim: int) -> Tensor:
    """Return what `torch.norm_except_dim` returns of a tensor without values: one norm for each index, or for all."""
    shape = [size if axis == dim else 1 for axis, size in enumerate(tensor.shape)]
    return tensor.new_empty(() if dim == -1 else shape)


def put_tensor(network: nn.Module, name: str, tensor: Tensor) -> None:
    """Replace one parameter or buffer, so that, unlike with `load_state_dict`, never two copies of all are in memory.

    Args:
        network: Such as was made inside `Unfilled`.
        name: As in its state dict.
        tensor: The new one.
    """
    path, _, last = name.rpartition(".")
    owner = network.get_submodule(path)
    is_parameter = isinstance(getattr(owner, last), torch.nn.Parameter)
    setattr(owner, last, torch.nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor)


def fill(
    network: nn.Module,
    state: State,
    device: str,
    who: str,
    *,
    computed: tuple[str, ...] = (),
    spare: Collection[str] = (),
    prefix: str = "",
    fix: str = FIX,
) -> None:
    """Fill a network with all tensors of a state, in float32, and make it ready for inference.

    Args:
        network: Such as was made inside `Unfilled`.
        state: Tensors by the network's names; read one at a time.
        device: Where the network shall lie.
        who: The file, for messages.
        computed: Ends of names of buffers that may be missing in the state, if the constructor computed them.
        spare: Names that may be in the state, and are not used.
        prefix: Of the names in the state that are the network's; others are not looked at.
        fix: What errors advise.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
        CheckpointCorrupt: A tensor cannot be read.
    """
    expected = network.state_dict()
    names = [name[len(prefix) :] for name in state if name.startswith(prefix)]
    check_names(names, expected, who, computed=computed, spare=spare, prefix=prefix, fix=fix)
    for name in sorted(expected.keys() & names):
        tensor = state[prefix + name]
        check_shape(prefix + name, tensor.shape, expected[name].shape, who, fix)
        put_tensor(network, name, tensor.to(device, torch.float32 if tensor.is_floating_point() else tensor.dtype))
    network.to(device).requires_grad_(requires_grad=False).eval()
