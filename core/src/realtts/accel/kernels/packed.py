"""A weight matrix, packed for its kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from realtts.accel.fused.products import FewRows
    from realtts.accel.kernels.matmul import Kernel

__all__ = ["PackedLinear"]

_BITS = {"fp32": 32, "bf16": 16, "fp16": 16, "int8": 8, "fp8": 8, "int4": 4}


class PackedLinear:
    """``y = x @ weight.T + bias`` over a packed weight.

    Args:
        weight: Float tensor of shape (out, in) on the device that will run it; not kept.
        bias: Shape (out,), or None.
        kernel: From `choose_kernel`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, kernel: Kernel) -> None:
        self.kernel = kernel
        self.out_features, self.in_features = weight.shape
        self._packed: Any = kernel.pack(weight.detach(), bias)

    @staticmethod
    def dump(weight: Tensor, bias: Tensor | None, kernel: Kernel) -> dict[str, Tensor]:
        """Prepare a weight as plain tensors, of which `load` makes the layer; arguments as of the class.

        Only for kernels with a `Kernel.storage`.
        """
        assert kernel.storage is not None
        tensors = {f"weight.{name}": tensor for name, tensor in kernel.storage.dump(weight.detach(), bias).items()}
        return {**tensors, "shape": torch.tensor(weight.shape), **({} if bias is None else {"bias": bias.detach()})}

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], kernel: Kernel) -> PackedLinear:
        """Make a layer of what `dump` returned.

        Args:
            tensors: On the device that will run it.
            kernel: The same as of `dump`.

        Raises:
            KeyError: A tensor is missing.
            ValueError: They are not what `dump` returns.
        """
        assert kernel.storage is not None
        made = cls.__new__(cls)
        made.kernel = kernel
        made.out_features, made.in_features = map(int, tensors["shape"])
        prefix = "weight."
        weight = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        made._packed = kernel.storage.load(weight, tensors.get("bias"))
        return made

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply: (rows, in) to (rows, out); the output's type is the kernel's choice."""
        return self.kernel.run(self._packed, x)

    @property
    def packed(self) -> Any:
        """What the kernel made of the weight, in its own form."""
        return self._packed

    @property
    def few_rows(self) -> FewRows | None:
        """The weights for the fused product of few rows; None where the kernel's own form is another."""
        few: FewRows | None = getattr(self._packed, "few_rows", None)
        return few

    @property
    def bytes_read(self) -> int:
        """Bytes of weights that one multiplication reads."""
        return self.out_features * self.in_features * _BITS[self.kernel.precision] // 8
