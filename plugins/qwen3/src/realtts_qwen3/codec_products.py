"""The codec's linear layers: cast when they are read, packed later, so that each stage of loading has its own work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.accel.kernels import Dense

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Product", "Products"]


class Product:
    """``x @ weight.T + bias``, made by `Products.add`; it can be called once `Products.pack` has run.

    Args:
        weight: (out, in).
        bias: (out,), or None.
        dtype: To compute in.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        # Contiguous, or a strided view would keep all that it looks into in memory until it is packed.
        self._weight: Tensor | None = weight.detach().to(dtype).contiguous()
        self._bias = None if bias is None else bias.to(dtype)
        self._dtype = dtype
        self._dense: Dense | None = None

    def pack(self) -> None:
        """Lay the weight out as the matrix library wants it, and drop the other copy."""
        if self._weight is not None:
            self._dense = Dense(self._weight, self._bias, self._dtype)
            self._weight = self._bias = None

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        assert self._dense is not None, "used before it is packed"
        return self._dense(x)


class Products:
    """The linear layers of a network: a layer asks for its products here, and all of them are packed at once.

    Args:
        dtype: To compute in, unless a layer asks for another.

    Attributes:
        dtype: As given.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._products: list[Product] = []

    def add(self, weight: Tensor, bias: Tensor | None = None, *, dtype: torch.dtype | None = None) -> Product:
        """Cast a layer's weight (out, in) and bias (out,)."""
        self._products.append(Product(weight, bias, dtype or self.dtype))
        return self._products[-1]

    def pack(self) -> None:
        """Pack every product, one after the other, so that no more than one lies in memory twice."""
        for product in self._products:
            product.pack()
