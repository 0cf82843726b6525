"""Speaker conditioning as a JSON tree and flat tensors, which is what a safetensors file holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["NotStorable", "owned", "pack", "unpack"]

_PLAIN = (bool, int, float, str, type(None))


class NotStorable(Exception):
    """A value holds something that is neither a tensor, an array, nor plain data."""


def pack(value: Any) -> tuple[list[Any], dict[str, torch.Tensor]]:
    """Split a value into a JSON-able tree and the tensors that it refers to.

    Every node is a pair of kind and content, so that no dictionary of the caller's can be mistaken for a reference.

    Raises:
        NotStorable: It holds something else, or a key that is not text.
    """
    tensors: dict[str, torch.Tensor] = {}
    return _pack(value, tensors), tensors


def owned(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor to the CPU, as no inference tensor, so that requests can share it and copy it anywhere."""
    with torch.inference_mode(mode=False), torch.no_grad():
        return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor)


def unpack(tree: list[Any], tensors: dict[str, torch.Tensor], device: torch.device) -> Any:
    """Rebuild a value; tensors go to the device, arrays are arrays again."""
    kind, content = tree
    if kind == "dict":
        return {key: unpack(item, tensors, device) for key, item in content.items()}
    if kind == "list":
        return [unpack(item, tensors, device) for item in content]
    if kind == "tuple":
        return tuple(unpack(item, tensors, device) for item in content)
    if kind == "tensor":
        return tensors[content].to(device)
    if kind == "array":
        return tensors[content].numpy()
    if kind == "plain":
        return content
    raise ValueError(f"unknown kind {kind!r}")


def _pack(value: Any, tensors: dict[str, torch.Tensor]) -> list[Any]:
    if type(value) in _PLAIN:
        return ["plain", value]
    if type(value) is dict:
        if not all(isinstance(key, str) for key in value):
            raise NotStorable("a dictionary has a key that is not text")
        return ["dict", {key: _pack(item, tensors) for key, item in value.items()}]
    if type(value) in {list, tuple}:
        return [type(value).__name__, [_pack(item, tensors) for item in value]]
    if isinstance(value, torch.Tensor):
        return ["tensor", _add(value, tensors)]
    if isinstance(value, np.ndarray):
        return ["array", _add(_as_tensor(value), tensors)]
    raise NotStorable(f"a value is {type(value).__name__}")


def _as_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    try:
        return torch.from_numpy(np.array(array, order="C"))  # a copy: views and negative strides have no safetensors
    except TypeError as error:
        raise NotStorable(str(error)) from None


def _add(tensor: torch.Tensor, tensors: dict[str, torch.Tensor]) -> str:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
        raise NotStorable("a tensor is sparse, quantized or complex")
    name = f"t{len(tensors)}"
    # A copy, because safetensors refuses tensors that share memory.
    tensors[name] = tensor.detach().cpu().contiguous().clone()
    return name
