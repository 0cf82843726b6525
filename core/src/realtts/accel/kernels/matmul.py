"""The matrix products that torch offers for few rows, behind one small interface.

Activations are quantized per row or not at all. torch's own dynamic quantization is not among these kernels: it takes
one scale for the whole activation, so that a loud row costs its neighbours their precision.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from realtts.accel.kernels import eight_bit, native, onednn
from realtts.accel.kernels.dense import Dense
from realtts.accel.kernels.int4 import INT4, INT4_CUDA, run_int4_cpu, run_int4_cuda
from realtts.accel.kernels.rounding import quantize_int8
from realtts.accel.kernels.storage import StoredAs, biased
from realtts.machine.hardware import cpu_features

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from realtts.accel.kernels.storage import Storage

__all__ = ["KERNELS", "Kernel", "kernels_for", "native_kernels"]


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Kernel:
    """One way to multiply by a weight matrix.

    Attributes:
        name: Appears in the status, such as ``"onednn"``.
        precision: Precision of the weights that it serves.
        device: Device type that it runs on.
        pack: Turn a weight of shape (out, in) and a bias of shape (out,) or None into the kernel's own form.
        run: Multiply: packed form and input of shape (rows, in) to output of shape (rows, out).
        usable: Whether the library that it needs may be used now.
        steady: Whether a row gives the same, bit for bit, beside any number of other rows.
        storage: How its prepared weights are kept on disk; None: they are packed at each start.
        library: Whose it is: ``"torch"``, or ``"native"`` for those of realtts-native.
    """

    name: str
    precision: str
    device: str
    pack: Callable[[Tensor, Tensor | None], Any]
    run: Callable[[Any, Tensor], Tensor]
    usable: Callable[[], bool] = _always
    steady: bool = False
    storage: Storage | None = None
    library: str = "torch"

    def in_parts(self, parts: int) -> Kernel:
        """Return the kernel for a weight whose outputs are so many equal parts, of which a step multiplies apart."""
        return self if self.library == "torch" else _native(self.precision, parts)

    def works(self) -> bool:
        """Whether this build of torch and this machine can run it: a small product is tried, once."""
        return self.usable() and _works(self)


def kernels_for(precision: str, device: torch.device) -> tuple[Kernel, ...]:
    """Return torch's kernels that serve a precision on a device and work here, the plainest first."""
    return _working("torch", precision, device)


def native_kernels(precision: str, device: torch.device) -> tuple[Kernel, ...]:
    """Return those of realtts-native that do, where it is installed: one, or none."""
    return _working("native", precision, device)


def _working(library: str, precision: str, device: torch.device) -> tuple[Kernel, ...]:
    return tuple(
        k
        for k in KERNELS
        if k.library == library and k.precision == precision and k.device == device.type and k.works()
    )


@functools.cache
def _works(kernel: Kernel) -> bool:
    device = torch.device(kernel.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        return False
    # Without a generator, so that the global one does not move.
    weight = torch.linspace(-1, 1, 64 * 64).sin().view(64, 64).to(device)
    x = torch.linspace(-1, 1, 2 * 64).cos().view(2, 64).to(device)
    try:
        actual = kernel.run(kernel.pack(weight, None), x)
    except Exception:  # whatever torch and Triton raise: compilers' errors have no base of their own
        return False
    expected = functional.linear(x, weight)
    # Loose, for int4: what is looked for is another layout or sign, not rounding.
    return bool((actual.float() - expected).norm() < 0.2 * expected.norm())


# --- dense -----------------------------------------------------------------------------------------------------------


_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def _dense(precision: str, device: str) -> Kernel:
    return Kernel("dense", precision, device, functools.partial(Dense, dtype=_DTYPES[precision]), Dense.__call__)


def _onednn(precision: str) -> Kernel:
    dtype = _DTYPES[precision]
    usable = functools.partial(onednn.usable, dtype, torch.device("cpu"))
    pack = functools.partial(_pack_onednn, dtype=dtype)
    return Kernel("onednn", precision, "cpu", pack, Dense.__call__, usable, steady=precision == "fp32")


def _pack_onednn(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Dense:
    layer = Dense(weight, bias, dtype)
    layer.pack(steady=dtype == torch.float32)
    return layer


# --- int8 ------------------------------------------------------------------------------------------------------------


@dataclass
class _Int8:
    weight: Any
    scale: Tensor
    bias: Tensor | None


@dataclass
class _Int8Zeros(_Int8):
    zeros: Tensor


def _dump_int8(weight: Tensor) -> dict[str, Tensor]:
    quantized = quantize_int8(weight)
    return {"values": quantized.values, "scale": quantized.scale}


def _dump_int8_weight_only(weight: Tensor) -> dict[str, Tensor]:
    # The CPU's kernel reads inputs in sixteens and does not look where they end: anything else kills the process.
    quantized = quantize_int8(functional.pad(weight, (0, -weight.shape[1] % 16)))
    return {"values": quantized.values, "scale": quantized.scale.bfloat16()}


def _load_int8_weight_only(tensors: Mapping[str, Tensor], bias: Tensor | None) -> _Int8:
    return _Int8(tensors["values"], tensors["scale"], bias)


def _run_int8_weight_only(packed: _Int8, x: Tensor) -> Tensor:
    if not len(x):  # on CUDA a launch of no blocks, after which errors may show up elsewhere
        return x.new_empty(0, len(packed.weight))
    padded = functional.pad(x, (0, packed.weight.shape[1] - x.shape[1])).bfloat16().contiguous()
    y: Tensor = torch._weight_int8pack_mm(padded, packed.weight, packed.scale)
    return biased(y.to(x.dtype), packed.bias)


def _load_int8_rows(tensors: Mapping[str, Tensor], bias: Tensor | None) -> _Int8:
    channels = tensors["scale"].double()
    with warnings.catch_warnings():
        # torch means to remove this kind of tensor; where it is gone, works() says no and the other kernels serve.
        warnings.simplefilter("ignore")
        as_torch = torch._make_per_channel_quantized_tensor(
            tensors["values"], channels, torch.zeros_like(channels, dtype=torch.int64), 0
        )
    return _Int8(torch.ops.quantized.linear_prepack(as_torch, None), tensors["scale"], bias)


def _run_int8_rows(packed: _Int8, x: Tensor) -> Tensor:
    # The kernel quantizes with one scale that it is given. Dividing each row by its own largest value first makes
    # that scale right for every row; integers times integers, so that rows cannot touch each other.
    x = x.float()
    scale = _row_scale(x)
    y: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
        x / scale, 1.0, _activation_levels() + 1, packed.weight
    )
    return biased(y.mul_(scale), packed.bias)


def _load_int8_onednn(tensors: Mapping[str, Tensor], bias: Tensor | None) -> _Int8Zeros:
    # oneDNN's own layout is opaque and cannot be written: it is made anew of the plain values, which costs little.
    packed = torch.ops.onednn.qlinear_prepack(tensors["values"], None)
    return _Int8Zeros(packed, tensors["scale"], bias, torch.zeros(len(tensors["scale"]), dtype=torch.int64))


def _run_int8_onednn(packed: _Int8Zeros, x: Tensor) -> Tensor:
    x = x.float()
    scale = _row_scale(x)
    values = (x / scale).round_().add_(_activation_levels() + 1).to(torch.uint8)
    y: Tensor = torch.ops.onednn.qlinear_pointwise(
        values,
        1.0,
        _activation_levels() + 1,
        packed.weight,
        packed.scale,
        packed.zeros,
        None,
        1.0,
        0,
        torch.float32,
        "none",
        [],
        "",
    )
    return biased(y.mul_(scale), packed.bias)


def _row_scale(x: Tensor) -> Tensor:
    return x.abs().amax(-1, keepdim=True).clamp_(min=1e-30).mul_(1 / _activation_levels())


@functools.cache
def _activation_levels() -> int:
    # Without VNNI two products are summed in 16 bits, which eight-bit activations overflow. The zero point lies one
    # above, so that the unsigned values stay as small as the levels allow.
    return 127 if {"avx512_vnni", "avx_vnni"} & cpu_features() else 63


_INT8 = StoredAs(_dump_int8_weight_only, _load_int8_weight_only)
_INT8_ROWS = StoredAs(_dump_int8, _load_int8_rows)
_INT8_ONEDNN = StoredAs(_dump_int8, _load_int8_onednn)

# --- realtts-native --------------------------------------------------------------------------------------------------


@functools.cache
def _native(precision: str, parts: int = 1) -> Kernel:
    pack = functools.partial(native.pack, kind=precision, parts=parts)
    storage = None if precision == "bf16" else native.NativeStorage(precision, parts)
    return Kernel(
        "native", precision, "cpu", pack, native.run, native.usable, steady=True, storage=storage, library="native"
    )


KERNELS = (
    _dense("fp32", "cpu"),
    _onednn("fp32"),
    _dense("bf16", "cpu"),
    _onednn("bf16"),
    _dense("fp16", "cpu"),
    Kernel("int8_rows", "int8", "cpu", _INT8_ROWS.pack, _run_int8_rows, steady=True, storage=_INT8_ROWS),
    Kernel(
        "int8_rows_onednn",
        "int8",
        "cpu",
        _INT8_ONEDNN.pack,
        _run_int8_onednn,
        onednn.enabled,
        steady=True,
        storage=_INT8_ONEDNN,
    ),
    Kernel("int8_weight_only", "int8", "cpu", _INT8.pack, _run_int8_weight_only, steady=True, storage=_INT8),
    Kernel("int4_weight_only", "int4", "cpu", INT4.pack, run_int4_cpu, steady=True, storage=INT4),
    *(_native(kind) for kind in native.KINDS),
    _dense("fp32", "cuda"),
    _dense("bf16", "cuda"),
    _dense("fp16", "cuda"),
    Kernel("int8_weight_only", "int8", "cuda", _INT8.pack, _run_int8_weight_only, storage=_INT8),
    Kernel("int8_triton", "int8", "cuda", eight_bit.pack_int8, eight_bit.run_int8, eight_bit.has_triton),
    Kernel("fp8_scaled", "fp8", "cuda", eight_bit.pack_float8, eight_bit.scaled_product, eight_bit.has_float8),
    Kernel("fp8_triton", "fp8", "cuda", eight_bit.pack_float8, eight_bit.run_float8, eight_bit.has_both),
    Kernel("int4_weight_only", "int4", "cuda", INT4_CUDA.pack, run_int4_cuda, storage=INT4_CUDA),
    _dense("fp32", "mps"),
    _dense("bf16", "mps"),
    _dense("fp16", "mps"),
)
"""Every kernel, per precision and device. The CUDA and MPS entries were not run on such a device yet."""
