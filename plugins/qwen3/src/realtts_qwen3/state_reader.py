"""Taking tensors out of a state dict: each by its name and with the shape that the configuration gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.errors import CheckpointMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["StateReader"]

_FIX = "check that the weights and the config.json belong together, or fetch the checkpoint again"


class StateReader:
    """A state dict that is read once, and of which nothing may be missing or left over.

    Args:
        state: StateReader by upstream's names; a lazy mapping is read a tensor at a time.
        who: What they belong to, for errors.
        device: Where they go.
    """

    def __init__(self, state: Mapping[str, Tensor], who: str, device: torch.device | str = "cpu") -> None:
        self._state, self._who, self._device = state, who, torch.device(device)
        self._left = set(state)

    def take(self, name: str, *shape: int) -> Tensor:
        """One tensor as float32 on the device.

        Raises:
            CheckpointMismatch: It is missing, or has another shape.
        """
        self.skip(name)
        tensor = self._state[name]
        if tuple(tensor.shape) != shape:
            raise self._wrong(f"{name} has the shape {tuple(tensor.shape)}, expected {shape}")
        return tensor.to(self._device, torch.float32)

    def pair(self, name: str, *shape: int, bias: bool = True) -> tuple[Tensor, Tensor | None]:
        """Weight of a shape and bias, if there is one, of a layer.

        Raises:
            CheckpointMismatch: One of them is missing, or has another shape.
        """
        return self.take(f"{name}.weight", *shape), self.take(f"{name}.bias", shape[0]) if bias else None

    def skip(self, name: str) -> None:
        """Require a tensor that is not used.

        Raises:
            CheckpointMismatch: It is missing.
        """
        if name not in self._state:
            raise self._wrong(f"the tensor {name} is missing")
        self._left.discard(name)

    def finish(self) -> None:
        """Nothing may be left.

        Raises:
            CheckpointMismatch: Something is.
        """
        if self._left:
            raise self._wrong(f"{len(self._left)} tensors are unexpected, the first is {min(self._left)}")

    def _wrong(self, what: str) -> CheckpointMismatch:
        return CheckpointMismatch(what, who=self._who, fix=_FIX)
