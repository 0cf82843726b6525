"""The compiled kernels of the package ``realtts-native``, where it is installed and the processor has the instructions.

It is never required. Switch: the setting ``native`` (``REALTTS_NATIVE=off``).
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from realtts.errors import QuantizationUnavailable
from realtts.machine.installer import installs_with_pip, pip_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = [
    "KINDS",
    "SWITCH",
    "NativeStorage",
    "instruction_set",
    "library",
    "pack",
    "pool",
    "run",
    "usable",
    "why_unusable",
]

KINDS = ("int8", "int4", "bf16")
"""Precisions of weights that there are kernels for."""

SWITCH = "set native=False (REALTTS_NATIVE=off)"

_NAME = "realtts_native"


def library() -> Any:
    """Return the package, whose types are its own.

    Raises:
        ImportError: It is not installed, or does not fit this Python.
    """
    return importlib.import_module(_NAME)


def why_unusable() -> str | None:
    """Say why the kernels cannot run here, with what to do about it where something can be done; None: they can."""
    try:
        reason = library().usable()
    except ModuleNotFoundError as error:
        if error.name != _NAME:
            return f"realtts-native cannot be imported ({error}): {_install(again=True)}"
        return f"realtts-native is not installed: {_install()}"
    except Exception as error:  # a library of another platform or version may fail in any way
        return f"realtts-native cannot be imported ({error}): {_install(again=True)}"
    return None if reason is None else f"realtts-native cannot run here: {reason}"


def usable() -> bool:
    """Whether the kernels can run here."""
    return why_unusable() is None


def instruction_set() -> str:
    """Return the instructions that the kernels use, such as ``"avx512vnni"``."""
    return str(library().instruction_set())


def pool() -> Any:
    """Return the threads that share the work of a call: as many as torch has now, the same for all who have as many."""
    return _pool(torch.get_num_threads())


def pack(weight: Tensor, bias: Tensor | None, kind: str, *, parts: int = 1) -> Any:
    """Round a weight (out, in) and lay it out.

    Args:
        weight: On the host.
        bias: (out,), or None.
        kind: One of `KINDS`.
        parts: Equal parts of the outputs that are laid out apart: two for gate and up of a gated MLP.

    Raises:
        QuantizationUnavailable: The weight is not finite, or does not fit.
    """
    values = weight.detach().contiguous()
    if values.dtype not in {torch.float32, torch.bfloat16, torch.float16}:
        values = values.float()
    biases = None if bias is None else bias.detach().float()
    try:
        return library().Weight.pack(values, kind, bias=biases, parts=parts)
    except ValueError as error:
        raise QuantizationUnavailable(str(error), who="quantization", fix=SWITCH) from error


def run(weight: Any, x: Tensor) -> Tensor:
    """Multiply: a weight of `pack` and (rows, in) to float32 (rows, out)."""
    out = torch.empty(len(x), weight.out_features)
    weight.run(x.detach().float().contiguous(), out, pool=pool())
    return out


@dataclass(frozen=True)
class NativeStorage:
    """How packed weights are kept on disk: a `realtts.accel.kernels.storage.Storage`.

    Attributes:
        kind: One of `KINDS`.
        parts: As of `pack`.
    """

    kind: str
    parts: int = 1

    @property
    def layout(self) -> str:
        """Version of the library's form, which is the same on every instruction set."""
        return f"{library().LAYOUT} in {self.parts}"

    def dump(self, weight: Tensor, bias: Tensor | None) -> dict[str, Tensor]:
        """As `Storage.dump`; the bias is a part of it."""
        stored = pack(weight, bias, self.kind, parts=self.parts).dump()
        return {"bytes": torch.frombuffer(bytearray(stored), dtype=torch.uint8)}

    def load(self, tensors: Mapping[str, Tensor], bias: Tensor | None) -> Any:  # noqa: ARG002 - it is stored, too
        """As `Storage.load`; copied to huge pages, from which steps read faster than from a mapped file."""
        return library().Weight.load(tensors["bytes"].numpy(), copy=True)


@functools.lru_cache(maxsize=4)
def _pool(threads: int) -> Any:
    return library().Pool(threads)


def _install(*, again: bool = False) -> str:
    """Return the command that installs the package into this environment, which may be a worker's own."""
    renewed = "--force-reinstall " if installs_with_pip() else "--reinstall-package realtts-native "
    return f"{pip_command()} {renewed if again else ''}realtts-native"
