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

    ``load(dump(weight, bias), bias)`` gives the same packed form, bit for bit, as the kernel's ``pack(weight, bias)``.
    Both may be called in any process of this machine; whatever depends on its instructions belongs into `layout`.

    Attributes:
        layout: Version of what `dump` returns, such as ``"1"`` or ``"3-avx512"``; tensors of another one are never
            handed to `load`.
    """

    @property
    def layout(self) -> str:
        """The version."""

    def dump(self, weight: Tensor, bias: Tensor | None) -> dict[str, Tensor]:
        """Prepare a weight.

        Args:
            weight: Float tensor of shape (out, in).
            bias: (out,), or None. It is stored beside the weight, and need not be part of what is returned.

        Returns:
            Plain contiguous tensors by short names; a compiled kernel's bytes are one of uint8.

        Raises:
            QuantizationUnavailable: The weight cannot be prepared.
        """

    def load(self, tensors: Mapping[str, Tensor], bias: Tensor | None) -> Any:
        """Make the packed form of what `dump` returned.

        Args:
            tensors: By the same names, on the kernel's device, in memory that belongs to the packed form from now on.
            bias: As `dump` had it.

        Raises:
            ValueError: They are not what `dump` returns.
        """


@dataclass(frozen=True)
class StoredAs:
    """A `Storage` of a kernel that adds the bias apart.

    Attributes:
        prepare: Prepares a weight.
        load: As of `Storage`.
        layout: As of `Storage`.
    """

    prepare: Callable[[Tensor], dict[str, Tensor]]
    load: Callable[[Mapping[str, Tensor], Tensor | None], Any]
    layout: str = "1"

    def dump(self, weight: Tensor, bias: Tensor | None) -> dict[str, Tensor]:  # noqa: ARG002 - it is added apart
        """Prepare a weight, as `Storage.dump`."""
        return self.prepare(weight)

    def pack(self, weight: Tensor, bias: Tensor | None) -> Any:
        """Pack a weight in one go: a kernel's ``pack``."""
        return self.load(self.prepare(weight), bias)


def biased(y: Tensor, bias: Tensor | None) -> Tensor:
    """Add a bias, if there is one, in place."""
    return y if bias is None else y.add_(bias)
