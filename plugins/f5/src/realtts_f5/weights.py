"""Tensors by upstream's names, each checked as it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.errors import CheckpointMismatch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor

__all__ = ["Weights"]

_FIX = "name the configuration that the file belongs to, or fetch the checkpoint again"


class Weights:
    """Reads tensors one by one, so that a file need not be in memory as a whole.

    Args:
        state: Tensors by name; a mapping that reads a file when it is asked is fine.
        device: Where they go.
        who: Named by errors.
    """

    def __init__(self, state: Mapping[str, Tensor], device: torch.device, who: str = "checkpoint") -> None:
        self._state, self._device, self._who = state, device, who
        self._taken: set[str] = set()

    def take(self, name: str, *shape: int) -> Tensor:
        """One tensor, float32.

        Args:
            name: As upstream names it.
            shape: What it must have; -1 where any size will do.

        Raises:
            CheckpointMismatch: It is missing or misshapen.
        """
        try:
            found = self._state[name]
        except KeyError:
            raise CheckpointMismatch(f"there is no tensor {name!r}", who=self._who, fix=_FIX) from None
        if len(found.shape) != len(shape) or any(
            wanted not in (-1, size) for wanted, size in zip(shape, found.shape, strict=True)
        ):
            wanted = tuple("any" if size == -1 else size for size in shape)
            what = f"{name!r} has the shape {tuple(found.shape)}, expected is {wanted}".replace("'any'", "any")
            raise CheckpointMismatch(what, who=self._who, fix=_FIX)
        self._taken.add(name)
        return found.to(self._device, torch.float32)

    def linear(self, name: str, out: int, width: int) -> tuple[Tensor, Tensor]:
        """Weight (out, width) and bias (out,) of a projection."""
        return self.take(f"{name}.weight", out, width), self.take(f"{name}.bias", out)

    def finish(self, prefix: str = "", ignored: Collection[str] = ()) -> None:
        """Refuse a state with tensors that nobody took: they belong to another configuration.

        Args:
            prefix: Of the names that count.
            ignored: Names that may be there.

        Raises:
            CheckpointMismatch: There is one; named is the first.
        """
        known = self._taken.union(ignored)
        unknown = [name for name in self._state if name.startswith(prefix) and name not in known]
        if unknown:
            more = f" (and {len(unknown) - 1} more)" if unknown[1:] else ""
            raise CheckpointMismatch(f"nothing is known of {unknown[0]!r}{more}", who=self._who, fix=_FIX)
