"""What a kernel offers so that weights prepared for it can be kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["Storage"]


class Storage(Protocol):
    """The part of packing that takes the time, apart from the rest: its result can be written to a file.

    ``load(dump(weight), bias)`` gives the same packed form, bit for bit, as the kernel's ``pack(weight, bias)``. Both
    may be called in any process of this machine; whatever depends on its instructions belongs into `layout`.

    Attributes:
        layout: Version of what `dump` returns, such as ``"1"`` or ``"3-avx512"``; tensors of another one are never
            handed to `load`.
    """

    layout: str

    def dump(self, weight: Tensor) -> dict[str, Tensor]:
        """Prepare a weight.

        Args:
            weight: Float tensor of shape (out, in).

        Returns:
            Plain contiguous tensors by short names; a compiled kernel's bytes are one of uint8. The bias is not among
            them.

        Raises:
            QuantizationUnavailable: The weight cannot be prepared.
        """

    def load(self, tensors: Mapping[str, Tensor], bias: Tensor | None) -> Any:
        """Make the packed form of what `dump` returned.

        Args:
            tensors: By the same names, on the kernel's device, in memory that belongs to the packed form from now on.
            bias: (out,), or None.

        Raises:
            ValueError: They are not what `dump` returns.
        """
