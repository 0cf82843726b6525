"""What a kernel offers so that weights prepared for it can be kept on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

__all__ = ["Storage", "StoredAs", "biased"]


class Storage(Protocol):
    """The part of packing that takes the time, apart from the rest: its result can be written to a file.

    ``load(dump(weight), bias)`` gives the same packed form, bit for bit, as the kernel's ``pack(weight, bias)``. Both
    may be called in any process of this machine; whatever depends on its instructions belongs into `layout`.

    Attributes:
        layout: Version of what `dump` returns, such as ``"1"`` or ``"3-avx512"``; tensors of another one are never
            handed to `load`.
    """

    @property
    def layout(self) -> str:
        """The version."""

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


@dataclass(frozen=True)
class StoredAs:
    """A `Storage` made of two functions; attributes as of it."""

    dump: Callable[[Tensor], dict[str, Tensor]]
    load: Callable[[Mapping[str, Tensor], Tensor | None], Any]
    layout: str = "1"

    def pack(self, weight: Tensor, bias: Tensor | None) -> Any:
        """Pack a weight in one go: a kernel's ``pack``."""
        return self.load(self.dump(weight), bias)


def biased(y: Tensor, bias: Tensor | None) -> Tensor:
    """Add a bias, if there is one, in place."""
    return y if bias is None else y.add_(bias)
