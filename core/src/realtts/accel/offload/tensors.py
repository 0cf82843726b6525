"""A walk over the tensors that any object holds, and the exchange of their memory, for moving weights."""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["entangled", "give_memory", "host_copy", "walk_tensors", "weights_of"]

_LEAVES = (
    str, bytes, int, float, complex, type, types.ModuleType, torch.device, torch.dtype, torch.Generator,
    types.MethodType,
)  # fmt: skip


def walk_tensors(thing: object, device: torch.device | str) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each tensor on a device that an object refers to, at any depth, once, with a name that leads to it.

    Attributes, slots, dictionaries, lists, tuples, sets, modules, closures and partial functions are followed. Not
    followed are classes, Python modules, globals, the objects of bound methods, and mappings that are no dictionaries:
    looking into these may be work, such as reading a file. Packed tensors without memory of their own (oneDNN's) are
    left out.

    Args:
        thing: The object.
        device: Tensors elsewhere are not its weights: counters on the host, say. Without an index: all of that type.
    """
    device = torch.device(device)
    # Objects stay referenced during the walk, or a new object could get the identity of one that is gone.
    seen: dict[int, object] = {}
    waiting: list[tuple[str, object]] = [("", thing)]
    while waiting:
        name, value = waiting.pop()
        lazy = isinstance(value, Mapping) and not isinstance(value, dict)
        if value is None or lazy or isinstance(value, _LEAVES) or id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, torch.Tensor):
            if _is_on(value, device) and not value.is_mkldnn:
                yield name.removeprefix("."), value
        else:
            waiting += [(name + step, inner) for step, inner in reversed(list(_inside(value)))]


def weights_of(thing: object, device: torch.device) -> Iterator[tuple[str, torch.Tensor, bool]]:
    """Yield each weight once, however many names it has, and whether it is a buffer.

    Args:
        thing: A module, whose parameters and buffers may lie anywhere, or an object as `walk_tensors` takes it.
        device: For the latter.
    """
    if isinstance(thing, nn.Module):
        yield from ((name, tensor, False) for name, tensor in thing.named_parameters())
        yield from ((name, tensor, True) for name, tensor in thing.named_buffers())
    else:
        yield from ((name, tensor, False) for name, tensor in walk_tensors(thing, device))


def entangled(weights: Iterable[tuple[str, torch.Tensor]]) -> str | None:
    """Say why these tensors cannot get other memory one by one, naming one; None if they can.

    A view keeps its base, and so the memory that it should give back. Of two tensors on the same memory each would get
    its own. Tensors that share a storage and nothing of it, as those of cuDNN's recurrent networks do, are fine.
    """
    stretches = []
    for name, tensor in weights:
        if tensor._base is not None:
            return f"{name!r} is a view of another tensor, whose memory it keeps"
        if tensor.numel():
            reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
            begin = tensor.data_ptr()
            stretches.append((begin, begin + (1 + reach) * tensor.element_size(), name))
    stretches.sort()
    for (_, end, first), (begin, _, second) in itertools.pairwise(stretches):
        if begin < end:
            return f"{first!r} and {second!r} lie on the same memory"
    return None


def host_copy(tensor: torch.Tensor, *, pinned: bool) -> torch.Tensor:
    """Copy a tensor to host memory, page-locked if asked for; memory that is that already is not copied."""
    with torch.inference_mode(mode=False), torch.no_grad():
        host = tensor.detach().to("cpu")
        return host.pin_memory() if pinned and not host.is_pinned() else host


def give_memory(tensor: torch.Tensor, data: torch.Tensor) -> None:
    """Give a tensor other storage but keep the object, to which others refer."""
    with torch.inference_mode(mode=False):
        tensor.data = data


def _inside(thing: object) -> Iterator[tuple[str, object]]:
    if isinstance(thing, nn.Module):  # without hooks and children's own attributes, which are torch's business
        yield from ((f".{name}", tensor) for name, tensor in (*thing.named_parameters(), *thing.named_buffers()))
    elif isinstance(thing, dict):
        yield from ((f"[{key!r}]", value) for key, value in thing.items())
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from ((f"[{index}]", value) for index, value in enumerate(thing))
    elif isinstance(thing, functools.partial):
        yield from ((".func", thing.func), (".args", thing.args), (".keywords", thing.keywords))
    elif isinstance(thing, types.FunctionType):
        yield from ((f".__closure__[{index}]", _content(cell)) for index, cell in enumerate(thing.__closure__ or ()))
    else:
        yield from ((f".{name}", value) for name, value in _attributes(thing))


def _attributes(thing: object) -> Iterable[tuple[str, object]]:
    yield from getattr(thing, "__dict__", {}).items()
    for cls in type(thing).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if name not in {"__dict__", "__weakref__"} and hasattr(thing, name):
                yield name, getattr(thing, name)


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # nothing in it yet
        return None


def _is_on(tensor: torch.Tensor, device: torch.device) -> bool:
    any_index = device.index is None  # which torch's types do not know of
    return tensor.device.type == device.type and (any_index or tensor.device.index == device.index)
