"""Linear layers in floating point: cast when they are read and packed later, each in its own stage of loading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.fused.products import FewRows
from realtts.accel.kernels import onednn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Dense", "DenseLayers"]


class Dense:
    """``x @ weight.T + bias`` for x (..., in), by operators that torch.compile knows until `pack` is called.

    Args:
        weight: (out, in), on the device that will run it.
        bias: (out,), or None.
        dtype: To compute in, and of the result.
        gelu: Whether GELU (by tanh) follows.

    Attributes:
        weight: In `dtype`; once packed, as the library wants it.
        bias: In `dtype`, or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, *, gelu: bool = False) -> None:
        # Contiguous, or a strided view would keep all that it looks into in memory until it is packed.
        self.weight = weight.detach().to(dtype).contiguous()
        self.bias = None if bias is None else bias.to(dtype)
        self._dtype, self._gelu, self._packed, self._doubles = dtype, gelu, False, False

    def pack(self, *, steady: bool = False) -> None:
        """Lay the weight out for `realtts.accel.kernels.onednn`, where that is usable, and drop the other copy.

        Args:
            steady: Compute a single row of a matrix as one of two where it would else round differently, so that a row
                alone gives what it gives beside others. Reading the weights takes the time, not the second row.
        """
        if not self._packed and onednn.usable(self._dtype, self.weight.device):
            inputs = self.weight.shape[1]
            self.weight, self._packed = onednn.packed(self.weight), True
            self._doubles = steady and onednn.alone_differs(self.weight, inputs)

    @property
    def pair(self) -> tuple[Tensor, Tensor | None]:
        """The weight and the bias."""
        return self.weight, self.bias

    @property
    def few_rows(self) -> FewRows | None:
        """The weights for the fused product of few rows; None once a library has laid them out."""
        return None if self._packed or self._gelu else FewRows(self.weight, None, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply: (..., in) to (..., out)."""
        x = x.to(self._dtype)
        if self._doubles and len(x) == 1:
            return onednn.product(x.expand(2, -1).contiguous(), self.weight, self.bias, gelu=self._gelu)[:1]
        if self._packed:
            return onednn.product(x, self.weight, self.bias, gelu=self._gelu)
        if self._gelu and self.bias is not None and x.is_cuda and x.dim() == 2:
            # One launch: the library activates what it has multiplied.
            y: Tensor = torch._addmm_activation(self.bias, x, self.weight.T, use_gelu=True)
            return y
        y = functional.linear(x, self.weight, self.bias)
        return functional.gelu(y, approximate="tanh") if self._gelu else y


class DenseLayers:
    """The dense layers of a network: its parts make theirs here, and all of them are packed at once.

    Args:
        dtype: To compute in, unless a layer asks for another.

    Attributes:
        dtype: As given.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._layers: list[Dense] = []

    def add(
        self, weight: Tensor, bias: Tensor | None = None, *, dtype: torch.dtype | None = None, gelu: bool = False
    ) -> Dense:
        """Make a layer, whose weight and bias are cast now; arguments as of `Dense`."""
        self._layers.append(Dense(weight, bias, dtype or self.dtype, gelu=gelu))
        return self._layers[-1]

    def pack(self) -> None:
        """Pack every layer, one after the other, so that no more than one lies in memory twice."""
        for layer in self._layers:
            layer.pack()
