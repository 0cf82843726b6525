"""Some rows of a tensor, by a tensor of row numbers, without a branch on the device.

Everything that a step of several rows reads and writes goes through these two functions. Without numbers they are the
tensor itself and a plain copy, so that a step of all rows costs nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["select", "store"]


def select(tensor: Tensor, rows: Tensor | None) -> Tensor:
    """Return some rows of a tensor: a copy, or the tensor itself where there are no numbers.

    Args:
        tensor: (rows of all, ...).
        rows: int64 (n,); None: all.
    """
    return tensor if rows is None else tensor.index_select(0, rows)


def store(tensor: Tensor, rows: Tensor | None, values: Tensor) -> None:
    """Write some rows of a tensor in place. Of a number that comes twice, one of its values stays.

    Args:
        tensor: (rows of all, ...).
        rows: int64 (n,); None: all.
        values: (n, ...), of the tensor's type.
    """
    if rows is None:
        tensor.copy_(values)
    else:
        tensor.index_copy_(0, rows, values)
