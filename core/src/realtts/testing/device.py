"""A device in host memory, for tests of what moves to one, and a count of the tensors that are alive."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import torch

from realtts.accel.offload.sharing import DeviceSharing, SharedDevice

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HostDevice", "live_tensors"]


class HostDevice:
    """A device in host memory: counts what is copied to it and sees what is freed.

    Attributes:
        copies: Weights that were copied to it, each as often as it was.
        most: The most bytes that lay there at a time.
    """

    def __init__(self) -> None:
        self.copies = self.most = 0
        self._weights: dict[int, int] = {}
        self._there: weakref.WeakValueDictionary[int, torch.UntypedStorage] = weakref.WeakValueDictionary()

    def copy(self, tensor: Tensor, device: torch.device) -> Tensor:
        """Copy a tensor to the device: the argument ``copy`` of `realtts.accel.offload.module`."""
        self.copies += 1
        self._weights[tensor.data_ptr()] = tensor.nbytes
        there = tensor.clone()
        self._there[self.copies] = there.untyped_storage()
        self.most = max(self.most, self.nbytes)
        return there

    def turns(self) -> DeviceSharing:
        """Parts that take turns on it."""
        return DeviceSharing(SharedDevice({}, "cpu", copy=self.copy))

    @property
    def tensors(self) -> int:
        """How many lie there."""
        gc.collect()
        return len(self._there)

    @property
    def nbytes(self) -> int:
        """Bytes that lie there."""
        return sum(storage.nbytes() for storage in self._there.values())

    @property
    def known(self) -> int:
        """How many weights there are."""
        return len(self._weights)

    @property
    def known_nbytes(self) -> int:
        """Bytes of all weights together."""
        return sum(self._weights.values())


def live_tensors() -> tuple[int, int]:
    """Return number and bytes of all live tensors, except those that `gc.freeze` hides from the collector."""
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
    # oneDNN's own layouts have no bytes that torch would tell
    return len(tensors), sum(tensor.nbytes for tensor in tensors if not tensor.is_mkldnn)
