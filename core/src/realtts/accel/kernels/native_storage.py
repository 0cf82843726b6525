"""Weights of the package ``realtts-native`` on disk: the bytes that its kernels read, so that nothing is left to do."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["NativeStorage"]


@dataclass(frozen=True)
class NativeStorage:
    """A `realtts.accel.kernels.Storage`; the bias is part of the bytes.

    Attributes:
        kind: ``"int8"``, ``"int4"`` or ``"bf16"``.
        parts: Equal parts of the outputs that are laid out apart.
    """

    kind: str
    parts: int = 1

    @property
    def layout(self) -> str:
        """The package's version of the bytes, which are the same on every instruction set."""
        return f"{_library().LAYOUT} {self.parts}"

    def dump(self, weight: Tensor, bias: Tensor | None) -> dict[str, Tensor]:
        """Pack a weight, as `realtts.accel.kernels.Storage.dump`."""
        values = weight.detach().contiguous()
        if values.dtype not in {torch.float32, torch.bfloat16, torch.float16}:
            values = values.float()
        packed = _library().Weight.pack(
            values, self.kind, bias=None if bias is None else bias.detach().float(), parts=self.parts
        )
        return {"bytes": torch.frombuffer(bytearray(packed.dump()), dtype=torch.uint8)}

    def load(self, tensors: Mapping[str, Tensor], bias: Tensor | None) -> Any:  # noqa: ARG002 - it is in the bytes
        """Take the bytes as they are, as `realtts.accel.kernels.Storage.load`."""
        return _library().Weight.load(tensors["bytes"].numpy())


def _library() -> Any:
    return importlib.import_module("realtts_native")
