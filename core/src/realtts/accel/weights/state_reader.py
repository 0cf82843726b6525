"""Taking tensors from a state dict by name, each with the shape that the configuration gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.kit.reading import check_shape, mismatch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from torch import Tensor

__all__ = ["StateReader", "below", "children"]

_FIX = "check that the weights and the configuration belong together, or fetch the checkpoint again"


def below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Read the tensors whose names begin with a prefix, by the rest of their names."""
    return {name[len(prefix) :]: state[name] for name in state if name.startswith(prefix)}


def children(names: Iterable[str], prefix: str) -> int:
    """Count the children of a module: 2 for ``blocks.0.weight``, ``blocks.0.bias`` and ``blocks.1.weight``."""
    return len({name[len(prefix) :].partition(".")[0] for name in names if name.startswith(prefix)})


class StateReader:
    """A state dict that is read once, and of which nothing may be missing or left over.

    Args:
        state: Tensors by upstream's names; a lazy mapping is read a tensor at a time.
        who: What they belong to, for errors.
        device: Where they go.
        fix: What errors advise.

    Attributes:
        device: Where tensors go.
    """

    def __init__(
        self, state: Mapping[str, Tensor], who: str, device: torch.device | str = "cpu", *, fix: str = _FIX
    ) -> None:
        self._state, self._who, self._fix = state, who, fix
        self.device = torch.device(device)
        self._left = set(state)

    def __contains__(self, name: object) -> bool:
        """Whether there is such a tensor."""
        return name in self._state

    def take(self, name: str, *shape: int) -> Tensor:
        """Read one tensor as float32 to the device.

        Args:
            name: As upstream names it.
            shape: What it must have; -1 where any size will do.

        Raises:
            CheckpointMismatch: It is missing, or has another shape.
        """
        self.skip(name)
        tensor = self._state[name]
        check_shape(name, tensor.shape, shape, self._who, self._fix)
        return tensor.to(self.device, torch.float32)

    def both(self, name: str, *shape: int) -> tuple[Tensor, Tensor]:
        """Read a layer's weight of a shape, and its bias.

        Raises:
            CheckpointMismatch: One of them is missing, or has another shape.
        """
        weight = self.take(f"{name}.weight", *shape)
        return weight, self.take(f"{name}.bias", len(weight))

    def pair(self, name: str, *shape: int, bias: bool = True) -> tuple[Tensor, Tensor | None]:
        """Read a layer's weight of a shape, and its bias if it has one.

        Raises:
            CheckpointMismatch: One of them is missing, or has another shape.
        """
        return self.both(name, *shape) if bias else (self.take(f"{name}.weight", *shape), None)

    def skip(self, name: str) -> None:
        """Require a tensor that is not used.

        Raises:
            CheckpointMismatch: It is missing.
        """
        if name not in self._state:
            raise mismatch(f"the tensor {name} is missing", self._who, self._fix)
        self._left.discard(name)

    def finish(self, prefix: str = "", spare: Collection[str] = ()) -> None:
        """Check that no tensor is left over.

        Args:
            prefix: Prefix of the names that count.
            spare: Names that may be left.

        Raises:
            CheckpointMismatch: A tensor is left.
        """
        left = {name for name in self._left if name.startswith(prefix)}.difference(spare)
        if left:
            raise mismatch(f"{len(left)} tensors are unexpected, the first is {min(left)}", self._who, self._fix)
