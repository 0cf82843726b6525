"""What a fused operation is, and whether those of this package can be used on a device."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["OPERATIONS", "Operation", "register", "why_not"]

_LEAST_CAPABILITY = (8, 0)
"""Ampere: the first that computes in bfloat16."""

_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 4e-3}
"""Largest difference between kernel and plain form in a trial, of the largest value."""

_LARGE = 1e4
"""In place of infinities, whose differences are no numbers."""


@dataclass(frozen=True)
class Operation:
    """An operation with a plain form and a kernel.

    Attributes:
        name: Its name in torch is this behind ``realtts::``.
        plain: Computes it by operations of torch, anywhere.
        launch: Computes it by a kernel of Triton.
        call: What models call: the plain form on a CPU, the kernel on CUDA; known to fake tensors and graphs.
        launches: Returns how many kernels a call launches, for the call's arguments.
        sample: Returns arguments for a trial, for a device and a type. What the operation changes is among them.
    """

    name: str
    plain: Callable[..., Any]
    launch: Callable[..., Any]
    call: Callable[..., Any]
    launches: Callable[..., int]
    sample: Callable[[torch.device, torch.dtype], tuple[Any, ...]]

    def why_wrong(
        self, device: torch.device, dtype: torch.dtype, launch: Callable[..., Any] | None = None
    ) -> str | None:
        """Compare the kernel with the plain form on the sample; return None, or what differs.

        Args:
            device: Where.
            dtype: Of the values.
            launch: In place of the kernel, such as its form in Triton's interpreter.
        """
        expected, actual = self.sample(device, dtype), self.sample(device, dtype)
        results = _tensors((self.plain(*expected), expected)), _tensors(((launch or self.launch)(*actual), actual))
        for number, (one, other) in enumerate(zip(*results, strict=True)):
            if one.dtype.is_floating_point:
                far = _distance(one, other)
                if not far <= _TOLERANCE.get(dtype, 1e-4):
                    return f"{self.name}: result {number} differs by {far:.2g} of its largest value"
            elif not torch.equal(one, other):
                return f"{self.name}: result {number} is another"
        return None


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest difference as a share of the largest value; of infinities, which have none, of large ones."""
    first, second = (tensor.float().clamp(-_LARGE, _LARGE) for tensor in (one, other))
    return float((first - second).abs().amax() / first.abs().amax().clamp_(min=1e-6))


OPERATIONS: dict[str, Operation] = {}
"""All operations by their names in torch."""


def register(
    name: str,
    *,
    plain: Callable[..., Any],
    launch: Callable[..., Any],
    fake: Callable[..., Any],
    sample: Callable[[torch.device, torch.dtype], tuple[Any, ...]],
    mutates: Sequence[str] = (),
    launches: Callable[..., int] = lambda *_args, **_kwargs: 1,
) -> Operation:
    """Make an operation known to torch and to `OPERATIONS`.

    Args:
        name: Of the operation.
        plain: Its annotations, all of `torch` and of Python, are its signature.
        launch: Takes the same arguments.
        fake: Returns empty tensors of the results' shapes, for the same arguments.
        sample: As of `Operation`.
        mutates: Names of the arguments that are changed.
        launches: As of `Operation`.
    """
    full = f"realtts::{name}"
    call = torch.library.custom_op(full, plain, mutates_args=tuple(mutates))
    placed = _on_its_device(launch)
    call.register_kernel("cuda")(placed)
    call.register_fake(fake)
    OPERATIONS[full] = Operation(name, plain, placed, call, launches, sample)
    return OPERATIONS[full]


def _on_its_device(launch: Callable[..., Any]) -> Callable[..., Any]:
    """Let a kernel be launched where its tensors are: Triton launches on the current device."""

    @functools.wraps(launch)
    def placed(*arguments: Any) -> Any:
        device = next(argument.device for argument in arguments if isinstance(argument, torch.Tensor))
        if device.type != "cuda" or device.index == torch.cuda.current_device():
            return launch(*arguments)
        with torch.cuda.device(device):
            return launch(*arguments)

    return placed


def why_not(device: torch.device | str, dtype: torch.dtype) -> str | None:
    """Return None where the fused operations can be used, else the reason why not.

    On CUDA each is tried once, against its plain form: a kernel that does not compile or computes something else must
    not be captured. Elsewhere the plain forms would gain nothing.
    """
    place = torch.device(device)
    if place.type != "cuda":
        return f"fused kernels are for CUDA, not {place.type}"
    if importlib.util.find_spec("triton") is None:
        return "fused kernels need Triton, which is not installed"
    return _tried(place, dtype)


@functools.cache
def _tried(device: torch.device, dtype: torch.dtype) -> str | None:
    capability = torch.cuda.get_device_capability(device)
    if capability < _LEAST_CAPABILITY:
        return f"fused kernels need compute capability {_LEAST_CAPABILITY}, {device} has {capability}"
    try:
        with torch.cuda.device(device), torch.inference_mode():
            reasons = (operation.why_wrong(device, dtype) for operation in all_operations())
            return next((reason for reason in reasons if reason is not None), None)
    except Exception as error:  # whatever Triton raises: its compiler's errors have no base of their own
        first = str(error).strip().partition("\n")[0]
        return f"a fused kernel failed: {type(error).__name__}: {first}"


def all_operations() -> Iterable[Operation]:
    """Return every operation of this package, each registered."""
    for module in ("products", "cache", "norms", "drawing"):
        importlib.import_module(f"realtts.accel.fused.{module}")
    return list(OPERATIONS.values())


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in _tensors(item)]
    return []
