"""A text-to-speech model with a ``generate`` of its own, run under an optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from realtts.accel.optimizer.model import OptimizedModel
from realtts.accel.precision import check_finite
from realtts.errors import AccelError

if TYPE_CHECKING:
    from realtts.accel.optimizer.core import AdvancedTTSOptimizer

__all__ = ["OptimizedTTSWrapper"]

_UNREACHABLE = "generate() calls the model's parts by itself, where a wrapper cannot step in without patching them"


class OptimizedTTSWrapper:
    """Runs ``base_model.generate`` with hybrid precision, the fastest attention, its threads and inference mode.

    What cannot be done from outside, compiling the parts that ``generate`` calls, is in the statistics as given up:
    give those parts to `AdvancedTTSOptimizer.optimize_model` where the model is put together.

    Args:
        base_model: Any object with ``generate(text, **kwargs)``; a module, or one whose attributes are modules.
        optimizer: The optimizer.

    Attributes:
        base_model: The model as given.
    """

    def __init__(self, base_model: Any, optimizer: AdvancedTTSOptimizer) -> None:
        if not callable(getattr(base_model, "generate", None)):
            raise AccelError(
                f"{type(base_model).__name__} has no generate()",
                who="optimizer",
                fix="wrap an object with generate(text, **kwargs), or use optimize_model(); optimize=False "
                "(REALTTS_OPTIMIZE=false) takes no step at all",
            )
        self.base_model = base_model
        self._optimizer = optimizer
        self._parts = _parts(base_model)
        self._proved = False
        self._convert()
        for name, part in self._parts.items():
            record = optimizer.record_of(name)
            optimizer.note_attention(record, part)
            fix = "pass the part that does the work through optimize_model()"
            if optimizer.config.enable_compile:
                record.give_up("compile", _UNREACHABLE, f"{fix}, or set enable_compile=False")
            if optimizer.config.enable_cuda_graphs:
                record.give_up("cuda_graphs", _UNREACHABLE, f"{fix}, or set enable_cuda_graphs=False")

    def generate(self, text: str | list[str], **kwargs: Any) -> Any:
        """Return what the model's own ``generate`` returns.

        The first call proves half precision: if it raises or its audio is not finite, the model goes back to its
        float32 weights, exactly, and speaks again.

        Args:
            text: What to say; a list gives a list of results, if ``batch_preprocessing`` is on.
            **kwargs: Passed on to the model's ``generate``.
        """
        if isinstance(text, list) and self._optimizer.config.batch_preprocessing:
            return [self.generate(one, **kwargs) for one in text]
        if self._proved:
            return self._speak(text, kwargs)
        try:
            audio = self._speak(text, kwargs)
            check_finite(_as_tensors(audio), type(self.base_model).__name__)
        except Exception as error:
            if not self._fall_back(error):
                raise
            try:
                audio = self._speak(text, kwargs)
            except Exception:
                for name, part in self._parts.items():  # the request was wrong, not the precision
                    self._optimizer.precision_manager.convert_again(part, name)
                raise
        self._proved = True
        for name, part in self._parts.items():
            self._optimizer.precision_manager.settle(part)
            self._optimizer.note_attention(self._optimizer.record_of(name), part)
        return audio

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "base_model" not in vars(self):
            raise AttributeError(name)  # copy and pickle look for their own before there is a model
        return getattr(self.base_model, name)

    def _speak(self, text: str | list[str], kwargs: dict[str, Any]) -> Any:
        with self._optimizer.scope(next(iter(self._parts.values()), None)):
            return self.base_model.generate(text, **kwargs)

    def _convert(self) -> None:
        for name, part in self._parts.items():
            self._optimizer.precision_manager.convert_model(part, name)

    def _fall_back(self, error: Exception) -> bool:
        """Cast all parts to float32; return False if they were already."""
        reason = f"{type(error).__name__}: {error}"
        converter = self._optimizer.precision_manager
        changed = [converter.to_float32(part, name, reason) for name, part in self._parts.items()]
        return any(changed)


def _parts(base_model: Any) -> dict[str, nn.Module]:
    """Find the modules to optimize, by name."""
    if isinstance(base_model, OptimizedModel):
        return {}  # done already
    name = type(base_model).__name__
    if isinstance(base_model, nn.Module):
        return {name: base_model}
    attributes = getattr(base_model, "__dict__", {})
    return {f"{name}.{key}": value for key, value in attributes.items() if isinstance(value, nn.Module)}


def _as_tensors(audio: Any) -> Any:
    """Convert arrays in a result to tensors that can be checked; other kinds of result stay as they are."""
    if isinstance(audio, np.ndarray) and audio.dtype.kind == "f":
        return torch.from_numpy(np.ascontiguousarray(audio))
    if isinstance(audio, (tuple, list)):
        return [_as_tensors(part) for part in audio]
    return audio
