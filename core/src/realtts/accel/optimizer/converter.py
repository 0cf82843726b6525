"""Hybrid precision for a whole model: the type that this machine multiplies fast, float32 where it must be."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.weak import WeakIdKeyDictionary

from realtts.accel.precision import ISLANDS, Precision, apply_policy
from realtts.machine.hardware import resolve_dtype

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from realtts.accel.optimizer.config import OptimizationConfig
    from realtts.accel.optimizer.record import Record

__all__ = ["PrecisionConverter", "device_of"]


class PrecisionConverter:
    """Casts models by the policy `realtts.accel.precision.ISLANDS`, each one once.

    Args:
        config: Whether half precision may be used.
        record_of: Where to note what was done, by the model's name.
        forced: The setting ``dtype`` if it is not ``auto``.
    """

    def __init__(
        self, config: Callable[[], OptimizationConfig], record_of: Callable[[str], Record], forced: str | None
    ) -> None:
        self._config = config
        self._record_of = record_of
        self._forced = forced
        self._done: Any = WeakIdKeyDictionary()

    def convert_model(self, model: nn.Module, name: str) -> nn.Module:
        """Cast the model's weights in place; what was converted before stays as it is.

        Args:
            model: The model.
            name: Its name in the statistics.

        Returns:
            The same model.
        """
        if model not in self._done:
            self._convert(model, name)
        return model

    def dtype_of(self, model: nn.Module) -> torch.dtype:
        """Return the type that a converted model computes in outside its islands; float32 if it is not converted."""
        done: Precision | None = self._done.get(model)
        dtype: torch.dtype = getattr(torch, done.dtypes[""]) if done is not None else torch.float32
        return dtype

    def to_float32(self, model: nn.Module, name: str, reason: str) -> bool:
        """Go back to the weights before the cast, exactly. False if there is nothing to go back to."""
        done: Precision | None = self._done.get(model)
        if done is None or set(done.dtypes.values()) <= {"float32"} or not done.can_undo:
            return False
        done.undo()
        self._done[model] = apply_policy(model, (), torch.float32)
        record = self._record_of(name)
        record.steps["precision"] = self._done[model].as_dict()
        record.give_up("precision", reason, "set enable_fp16=False and enable_bf16=False, or dtype='float32'")
        return True

    def convert_again(self, model: nn.Module, name: str) -> None:
        """Cast a model that went back to float32 for a reason that was not its precision."""
        self._done.pop(model, None)
        self._record_of(name).take_back("precision")
        self._convert(model, name)

    def settle(self, model: nn.Module) -> None:
        """Free the weights from before the cast, once it has proved itself."""
        done: Precision | None = self._done.get(model)
        if done is not None:
            done.forget()

    def _convert(self, model: nn.Module, name: str) -> None:
        record = self._record_of(name)
        dtype, reason = self._dtype(device_of(model))
        if reason:
            record.give_up("precision", reason, "nothing to do: float32 is exact")
        self._done[model] = apply_policy(model, ISLANDS, dtype, keep=True)
        record.steps["precision"] = {"dtype": dtype, **self._done[model].as_dict()}

    def _dtype(self, device: torch.device) -> tuple[str, str]:
        """Choose the type to compute in, and say why not a faster one."""
        if self._forced is not None:
            return self._forced, "dtype='float32' is set" if self._forced == "float32" else ""
        config = self._config()
        best = resolve_dtype("auto", str(device))
        if best == "bfloat16" and not config.enable_bf16:
            best = "float16" if device.type == "cuda" else "float32"
        if best == "float16" and not config.enable_fp16:
            best = "float32"
        if best == "float32" and (config.enable_bf16 or config.enable_fp16):
            return best, f"this {device.type} device has no fast arithmetic of the half-precision types allowed"
        return best, ""


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights are; the CPU for one without any."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))
